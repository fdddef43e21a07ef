"""The event store in PostgreSQL."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from registry_core.events import Event, RecordedEvent, versions_of
from registry_core.moments import Moment
from registry_core.store.connections import Connection, Pool
from registry_core.store.group_commit import GroupCommit

EVENT_COLUMNS = """e.stream_id, e.version, e.event_id, e.type, e.body, e.body_sha256, e.actor, e.occurred_at,
    e.recorded_at, e.correlation_id, e.causation_id, e.traceparent"""
_STREAMS_AT = f"select {EVENT_COLUMNS} from log.streams_at($1, $2, $3) e order by e.stream_id, e.version"


def recorded(row: Any) -> RecordedEvent:
    """A row of EVENT_COLUMNS (and `log_index`, if there) as an event."""
    return RecordedEvent(
        id=row["event_id"], stream=row["stream_id"], version=row["version"], type=row["type"], body=row["body"],
        body_sha256=row["body_sha256"], actor=row["actor"], occurred_at=row["occurred_at"],
        recorded_at=row["recorded_at"], correlation_id=row["correlation_id"], causation_id=row["causation_id"],
        traceparent=row["traceparent"], log_index=row.get("log_index"),
    )  # fmt: skip


class PostgresEventStore(GroupCommit):
    """Appends in groups, and reads streams and the log."""

    async def read_streams(self, streams: Sequence[str]) -> dict[str, list[RecordedEvent]]:
        return await read_streams(self._pool, streams)

    async def read_streams_at(self, streams: Sequence[str], moment: Moment) -> dict[str, list[RecordedEvent]]:
        rows = await self._pool.fetch(_STREAMS_AT, list(set(streams)), moment.known_at, moment.as_of)
        return _by_stream(streams, rows)

    async def streams_under(self, prefix: str) -> list[str]:
        rows = await self._pool.fetch(
            """select stream_id from log.streams where stream_id >= $1 collate "C" and stream_id < $2 collate "C"
                order by stream_id""", prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1),
        )  # fmt: skip
        return [row["stream_id"] for row in rows]

    async def read_log(self, first: int, limit: int) -> list[RecordedEvent]:
        rows = await self._pool.fetch(
            f"""select s.log_index, {EVENT_COLUMNS} from log.sealed s join log.events e using (position)
                where s.log_index >= $1 order by s.log_index limit $2""", first, limit,
        )  # fmt: skip
        return [recorded(row) for row in rows]

    async def wait_sealed(self, event_id: object, timeout: float = 5.0) -> int | None:
        pause = 0.001
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while (index := await self._log_index(event_id)) is None:
                    await asyncio.sleep(pause)
                    pause = min(pause * 1.5, 0.05)
                return index
        return None

    async def position(self, event_id: UUID) -> RecordedEvent | None:
        """The event with its log index, if it is in the store."""
        row = await self._pool.fetchrow(
            f"""select s.log_index, {EVENT_COLUMNS} from log.events e left join log.sealed s using (position)
                where e.event_id = $1""",
            event_id,
        )
        return recorded(row) if row else None

    async def _log_index(self, event_id: object) -> int | None:
        index: int | None = await self._pool.fetchval(
            "select log_index from log.events join log.sealed using (position) where event_id = $1", event_id
        )
        return index


async def read_streams(connection: Connection | Pool, streams: Sequence[str]) -> dict[str, list[RecordedEvent]]:
    """Every event of each stream, in one query."""
    rows = await connection.fetch(
        f"select {EVENT_COLUMNS} from log.events e where e.stream_id = any($1) order by e.stream_id, e.version",
        list(streams),
    )
    return _by_stream(streams, rows)


async def read_types(connection: Connection | Pool, stream: str, types: Iterable[type[Event]]) -> list[RecordedEvent]:
    """The events of a stream that are read as one of these classes."""
    rows = await connection.fetch(
        f"select {EVENT_COLUMNS} from log.events e where e.stream_id = $1 and e.type = any($2) order by e.version",
        stream, [name for event in types for name in versions_of(event)],
    )  # fmt: skip
    return [recorded(row) for row in rows]


def _by_stream(streams: Sequence[str], rows: Iterable[Any]) -> dict[str, list[RecordedEvent]]:
    found: dict[str, list[RecordedEvent]] = {stream: [] for stream in streams}
    for row in rows:
        found[row["stream_id"]].append(recorded(row))
    return found
