"""Which events count when somebody asks how things stood: by the time they occurred, and by when they were recorded.

docs/time.md has the meaning in words; `Moment.of` is that meaning, and the stores' queries are tested against it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from registry_core.events.base import RecordedEvent

CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""How far clocks may differ before somebody has to mend one (as Kerberos has it, RFC 4120 section 7.5.5)."""
YEARS: Final = (1970, 9998)
"""The first and last year taken from outside; UTC conversion near the ends of `datetime` overflows."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Both times are aware; None is no bound."""

    as_of: datetime | None = None
    """Only what occurred at or before it."""
    known_at: datetime | None = None
    """Only what the store held at the last instant at which its own clock showed this or less."""

    def of(self, stream: Sequence[RecordedEvent]) -> list[RecordedEvent]:
        """The events of one whole stream that count, in the stream's order."""
        known = stream if self.known_at is None else _held(stream, self.known_at)
        return [event for event in known if self.as_of is None or event.occurred_at <= self.as_of]

    @property
    def is_bounded(self) -> bool:
        return self.as_of is not None or self.known_at is not None

    def reading(self, now: datetime) -> datetime:
        """The time by which it is judged what has expired: `as_of`; else when it was known; else now."""
        return self.as_of or self.known_at or now


NOW: Final = Moment()
"""All that is known."""


def _held(stream: Sequence[RecordedEvent], at: datetime) -> Sequence[RecordedEvent]:
    """Up to the last event recorded by then: also what a clock that went back stamped later, for it was there."""
    last = max((n for n, event in enumerate(stream) if event.recorded_at <= at), default=-1)
    return stream[: last + 1]


def parse_time(text: str) -> datetime:
    """An ISO 8601 date and time with its offset, in UTC. Raises ValueError that says what is wrong."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:64]!r} is not an ISO 8601 time") from None
    if found.tzinfo is None:
        raise ValueError(f"{text[:64]!r} names no zone")
    try:
        found = found.astimezone(UTC)
    except OverflowError:
        found = datetime.min.replace(tzinfo=UTC)
    if not YEARS[0] <= found.year <= YEARS[1]:
        raise ValueError(f"{text[:64]!r} is not between the years {YEARS[0]} and {YEARS[1]}")
    return found
