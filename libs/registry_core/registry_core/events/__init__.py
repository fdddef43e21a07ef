"""Every event type Hallmark records. Importing this package declares them all."""

from registry_core.events import evidence, governance, lifecycle, promotions, versions
from registry_core.events.base import (
    Event,
    NewEvent,
    Origin,
    RecordedEvent,
    UnknownEventTypeError,
    decode,
    derived_id,
    event_types,
    topic_of,
)

__all__ = [
    "Event",
    "NewEvent",
    "Origin",
    "RecordedEvent",
    "UnknownEventTypeError",
    "decode",
    "derived_id",
    "event_types",
    "evidence",
    "governance",
    "lifecycle",
    "promotions",
    "topic_of",
    "versions",
]
