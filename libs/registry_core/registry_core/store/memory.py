"""The event store's twin in memory, for tests and for understanding: the same promises, sealed at once."""

import hashlib
from collections.abc import Sequence
from uuid import UUID

from registry_core.clock import Clock, system_clock
from registry_core.events import NewEvent, RecordedEvent
from registry_core.moments import Moment
from registry_core.store.model import MAX_BODY, Append, Appended, Conflict, DuplicateEventError, EventTooLargeError


class MemoryEventStore:
    def __init__(self, clock: Clock = system_clock) -> None:
        self._clock = clock
        self.log: list[RecordedEvent] = []
        self._streams: dict[str, list[RecordedEvent]] = {}
        self._by_id: dict[UUID, RecordedEvent] = {}

    async def append(self, *appends: Append) -> list[Appended | Conflict]:
        for append in appends:
            for event in append.events:
                if (size := len(event.data.encode())) > MAX_BODY:
                    raise EventTooLargeError(event.data.type, size)
        return [self._append(append) for append in appends]

    def _append(self, append: Append) -> Appended | Conflict:
        if retry := self._as_retry(append):
            return retry
        stream = self._streams.get(append.stream, [])
        current = len(stream) - 1
        if append.expected is not None and append.expected != current:
            return Conflict(current)
        for event in append.events:
            self._record(append.stream, event)
        return Appended(current + 1, current + len(append.events))

    def _as_retry(self, append: Append) -> Appended | None:
        known = [self._by_id[event.id] for event in append.events if event.id in self._by_id]
        if not known:
            return None
        if [(e.id, e.stream, e.body) for e in known] != [(e.id, append.stream, e.data.encode()) for e in append.events]:
            raise DuplicateEventError(f"event id {known[0].id} is taken by another event; use a new id for new content")
        return Appended(known[0].version, known[-1].version, duplicate=True)

    def _record(self, stream: str, event: NewEvent) -> None:
        body = event.data.encode()
        recorded = RecordedEvent(
            id=event.id, stream=stream, version=len(self._streams.setdefault(stream, [])), type=event.data.type,
            body=body, body_sha256=hashlib.sha256(body).digest(), actor=event.origin.actor,
            occurred_at=event.origin.occurred_at, recorded_at=self._clock(),
            correlation_id=event.origin.correlation_id, causation_id=event.origin.causation_id,
            traceparent=event.origin.traceparent, log_index=len(self.log),
        )  # fmt: skip
        self._streams[stream].append(recorded)
        self._by_id[event.id] = recorded
        self.log.append(recorded)

    async def read_streams(self, streams: Sequence[str]) -> dict[str, list[RecordedEvent]]:
        return {stream: list(self._streams.get(stream, [])) for stream in streams}

    async def read_streams_at(self, streams: Sequence[str], moment: Moment) -> dict[str, list[RecordedEvent]]:
        return {stream: moment.of(self._streams.get(stream, [])) for stream in streams}

    async def streams_under(self, prefix: str) -> list[str]:
        return sorted(stream for stream in self._streams if stream.startswith(prefix))

    async def read_log(self, first: int, limit: int) -> list[RecordedEvent]:
        return self.log[first : first + limit]

    async def wait_sealed(self, event_id: object, timeout: float = 5.0) -> int | None:
        found = self._by_id.get(event_id) if isinstance(event_id, UUID) else None
        return found.log_index if found else None
