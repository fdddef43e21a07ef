"""What both event stores promise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from registry_core.events import NewEvent, RecordedEvent
from registry_core.moments import Moment

ANY: Final = None
"""Expected version: whatever it is."""
NONE: Final = -1
"""Expected version: the stream does not exist yet."""

MAX_BODY: Final = 256 * 1024
"""Bytes. Larger things go to the artifact store, and their digest into the event (claim check)."""


@dataclass(frozen=True, slots=True)
class Append:
    """Events for the end of one stream."""

    stream: str
    events: Sequence[NewEvent]
    expected: int | None = ANY


@dataclass(frozen=True, slots=True)
class Appended:
    first_version: int
    last_version: int
    duplicate: bool = False
    """These very events were there already: a retry."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """The stream is not at the expected version; nothing of this append was written."""

    current_version: int


class DuplicateEventError(Exception):
    """An event id is taken by another event."""


class EventTooLargeError(ValueError):
    """A body above MAX_BODY."""

    def __init__(self, event_type: str, size: int) -> None:
        super().__init__(
            f"{event_type} has a body of {size} bytes, above the limit of {MAX_BODY}; "
            "store the large part as evidence and refer to it by digest"
        )


class EventStore(Protocol):
    """Streams are append-only; versions start at 0; sealed events carry a dense `log_index` from 0."""

    async def append(self, *appends: Append) -> list[Appended | Conflict]:
        """Append to several distinct streams, each with its own result, in the order given."""
        ...

    async def read_streams(self, streams: Sequence[str]) -> dict[str, list[RecordedEvent]]:
        """Every event of each stream in version order; an unknown stream is an empty list."""
        ...

    async def read_streams_at(self, streams: Sequence[str], moment: Moment) -> dict[str, list[RecordedEvent]]:
        """Of each stream the events that count at the moment, in version order."""
        ...

    async def streams_under(self, prefix: str) -> list[str]:
        """The ids of the streams that begin with the prefix, in byte order."""
        ...

    async def read_log(self, first: int, limit: int) -> list[RecordedEvent]:
        """Sealed events from `log_index` first on, in order."""
        ...

    async def wait_sealed(self, event_id: object, timeout: float = 5.0) -> int | None:
        """The event's log index, as soon as it has one; None if it has none within `timeout` seconds."""
        ...
