"""Every event type Hallmark records. Importing this package declares them all."""

from registry_core.events import aliases, evidence, governance, lifecycle, privacy, promotions, sources, versions
from registry_core.events.base import (
    Erased,
    Event,
    NewerEventTypeError,
    NewEvent,
    Origin,
    RecordedEvent,
    UnknownEventTypeError,
    decode,
    derived_id,
    earlier_version,
    event_types,
    topic_of,
    upcasts,
    versions_of,
)

__all__ = [
    "Erased",
    "Event",
    "NewEvent",
    "NewerEventTypeError",
    "Origin",
    "RecordedEvent",
    "UnknownEventTypeError",
    "aliases",
    "decode",
    "derived_id",
    "earlier_version",
    "event_types",
    "evidence",
    "governance",
    "lifecycle",
    "privacy",
    "promotions",
    "sources",
    "topic_of",
    "upcasts",
    "versions",
    "versions_of",
]
