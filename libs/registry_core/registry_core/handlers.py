"""What a handler is: a function from an event, and streams it looks at, to effects. It does no I/O of its own."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from registry_core.events import Event, NewEvent, Origin, RecordedEvent, derived_id
from registry_core.store.model import ANY, Append


class Evolving(Protocol):
    """State folded from one stream; `version` is the last event's, -1 before the first."""

    @property
    def version(self) -> int: ...

    def evolve(self, event: RecordedEvent) -> "Evolving":
        """The state after one more event; unknown event types change nothing but the version."""
        ...


S = TypeVar("S", bound=Evolving)


def fold(state: S, events: Iterable[RecordedEvent]) -> S:
    """The state after these events."""
    for event in events:
        state = state.evolve(event)  # type: ignore[assignment]  # evolve returns its own type
    return state


class Reader(Protocol):
    """What a handler may look at."""

    @property
    def now(self) -> datetime: ...

    async def read(self, *streams: str) -> list[list[RecordedEvent]]:
        """The streams' events, with everything that earlier events of the same batch brought about."""
        ...

    async def read_only(self, stream: str, *types: type[Event]) -> list[RecordedEvent]:
        """Of one stream the events of these types alone, for what is rare in a long stream.

        Complete up to the event that is handled, with what earlier events of the same batch brought about; what other
        processes appended after it may be missing.
        """
        ...


async def load(reader: Reader, initial: S, stream: str) -> S:
    """Read and fold one stream."""
    return fold(initial, (await reader.read(stream))[0])


@dataclass(frozen=True, slots=True)
class Emit:
    """Append events to a stream. `ids` override the derived ids where two causes may have one consequence."""

    stream: str
    events: Sequence[Event]
    expected: int | None = ANY
    ids: Sequence[UUID] | None = None
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StartJob:
    """Long work for later: scans, evaluations, provisioning. Higher priority goes first."""

    kind: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Execute:
    """A statement on the service's own tables, in the same transaction as everything else."""

    sql: str
    arguments: Sequence[Any] = ()


Effect = Emit | StartJob | Execute
Handler = Callable[[RecordedEvent, Reader], Awaitable[Sequence[Effect]]]
Handlers = Mapping[type[Event], Handler]


@dataclass(frozen=True, slots=True)
class Cause:
    """What effects follow from: an event, or a job that an event started."""

    id: UUID
    """The event."""
    correlation_id: UUID
    traceparent: str | None
    seed: UUID
    """What ids of consequences derive from: the event's id, or the job's."""

    @classmethod
    def of(cls, event: RecordedEvent) -> "Cause":
        return cls(event.id, event.correlation_id, event.traceparent, event.id)


def as_append(emit: Emit, cause: Cause, *, by: str, ordinal: int, now: datetime, traceparent: str | None) -> Append:
    """The append that an `Emit` stands for. Ids derive from cause and place, so that doing it again is harmless."""
    origin = Origin(
        actor=f"service:{by}",
        occurred_at=emit.occurred_at or now,
        correlation_id=cause.correlation_id,
        causation_id=cause.id,
        traceparent=traceparent or cause.traceparent,
    )
    ids = emit.ids or [derived_id(cause.seed, by, ordinal, n) for n in range(len(emit.events))]
    events = [NewEvent(id=i, data=data, origin=origin) for i, data in zip(ids, emit.events, strict=True)]
    return Append(emit.stream, events, emit.expected)
