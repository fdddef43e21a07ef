"""The event store in PostgreSQL: one SQL function appends, one connection commits for everybody."""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg

from registry_core.events import NewEvent, RecordedEvent
from registry_core.moments import Moment
from registry_core.store.model import MAX_BODY, Append, Appended, Conflict, DuplicateEventError, EventTooLargeError

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
else:
    Pool = asyncpg.Pool
    Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

_LINGER = 0.01
"""Seconds that the connection of the last flush is kept: to give it back and get it again takes two round trips."""
Result = Appended | Conflict
_Waiting = tuple[Append, asyncio.Future[Result]]

EVENT_COLUMNS = """e.stream_id, e.version, e.event_id, e.type, e.body, e.body_sha256, e.actor, e.occurred_at,
    e.recorded_at, e.correlation_id, e.causation_id, e.traceparent"""
_APPEND = "select * from log.append_batch($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14)"
_STREAMS_AT = f"select {EVENT_COLUMNS} from log.streams_at($1, $2, $3) e order by e.stream_id, e.version"
_LOST = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
TRANSIENT = (
    *_LOST,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.OperatorInterventionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    TimeoutError,
)
"""Errors that a later attempt may not meet."""


def recorded(row: Any) -> RecordedEvent:
    """A row of EVENT_COLUMNS (and `log_index`, if there) as an event."""
    return RecordedEvent(
        id=row["event_id"], stream=row["stream_id"], version=row["version"], type=row["type"], body=row["body"],
        body_sha256=row["body_sha256"], actor=row["actor"], occurred_at=row["occurred_at"],
        recorded_at=row["recorded_at"], correlation_id=row["correlation_id"], causation_id=row["causation_id"],
        traceparent=row["traceparent"], log_index=row.get("log_index"),
    )  # fmt: skip


def _encode(event: NewEvent) -> bytes:
    body = event.data.encode()
    if len(body) > MAX_BODY:
        raise EventTooLargeError(event.data.type, len(body))
    return body


def _sha256(event: NewEvent) -> bytes:
    return hashlib.sha256(event.data.encode()).digest()


def batch_arguments(appends: Sequence[Append]) -> tuple[list[Any], ...]:
    """The fourteen arrays of `log.append_batch`."""
    events = [(a, k, event) for a, append in enumerate(appends, 1) for k, event in enumerate(append.events)]
    bodies = [_encode(event) for _, _, event in events]
    return (
        [append.stream for append in appends],
        [append.expected for append in appends],
        [len(append.events) for append in appends],
        [a for a, _, _ in events],
        [k for _, k, _ in events],
        [event.id for _, _, event in events],
        [event.data.type for _, _, event in events],
        bodies,
        [hashlib.sha256(body).digest() for body in bodies],
        [event.origin.actor for _, _, event in events],
        [event.origin.occurred_at for _, _, event in events],
        [event.origin.correlation_id for _, _, event in events],
        [event.origin.causation_id for _, _, event in events],
        [event.origin.traceparent for _, _, event in events],
    )


async def append_batch(connection: Connection, appends: Sequence[Append]) -> list[Result]:
    """One call, one transaction of the caller's. Raises UniqueViolationError if any event id is taken."""
    rows = await connection.fetch(_APPEND, *batch_arguments(appends))
    results: list[Result] = [Conflict(-1)] * len(appends)
    for row in rows:
        results[row["append"] - 1] = (
            Appended(row["first_version"], row["current_version"]) if row["ok"] else Conflict(row["current_version"])
        )
    return [
        (await _as_retry(connection, append) or result) if isinstance(result, Conflict) else result
        for append, result in zip(appends, results, strict=True)
    ]


async def existing_ids(connection: Connection, ids: Iterable[UUID]) -> set[UUID]:
    """Which of these events are in the store."""
    rows = await connection.fetch("select event_id from log.events where event_id = any($1)", list(ids))
    return {row["event_id"] for row in rows}


async def append_once(connection: Connection, append: Append) -> Result:
    """Append to one stream; a retry of the very same events is recognised by their ids."""
    try:
        async with connection.transaction():
            return (await append_batch(connection, [append]))[0]
    except asyncpg.UniqueViolationError:
        if retry := await _as_retry(connection, append):
            return retry
        raise


async def _as_retry(connection: Connection, append: Append) -> Appended | None:
    """The earlier result, if these very events are in the store. A retry's expected version is outdated by itself."""
    rows = await connection.fetch(
        "select event_id, stream_id, version, body_sha256 from log.events where event_id = any($1) order by version",
        [event.id for event in append.events],
    )
    if not rows:
        return None
    found = [(row["event_id"], row["stream_id"], row["body_sha256"]) for row in rows]
    if found != [(event.id, append.stream, _sha256(event)) for event in append.events]:
        taken = ", ".join(str(row["event_id"]) for row in rows)
        raise DuplicateEventError(f"event id {taken} is taken by another event; use a new id for new content")
    return Appended(rows[0]["version"], rows[-1]["version"], duplicate=True)


class PostgresEventStore:
    """Group commit: whatever has queued up while the last flush ran goes to the server in one call.

    32 writers reach several times the rate of 32 connections this way, and more connections bring nothing
    (docs/decisions/0003). After a lost connection the same ids are sent again, so an unknown outcome is harmless.
    """

    def __init__(self, pool: Pool, on_append: Callable[[], None] = lambda: None) -> None:
        self._pool = pool
        self.on_append = on_append
        self._queue: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._flusher: asyncio.Task[None] | None = None
        self._connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record] | None = None

    async def append(self, *appends: Append) -> list[Result]:
        loop = asyncio.get_running_loop()
        waiting = [(append, loop.create_future()) for append in appends]
        self._queue.extend(waiting)
        self._arrived.set()
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush_all())
        if len(waiting) == 1:
            return [await waiting[0][1]]
        return list(await asyncio.gather(*(future for _, future in waiting)))

    async def _flush_all(self) -> None:
        while self._queue:
            try:
                while self._queue or await self._more_comes():
                    await self._flush_queued()
            finally:
                await self._give_back()

    async def _more_comes(self) -> bool:
        """Wait a little before the connection is given back: busy writers are just about to append again."""
        self._arrived.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                await self._arrived.wait()
        return bool(self._queue)

    async def _flush_queued(self) -> None:
        batch = self._take()
        try:
            await self._flush_through_failures(batch)
            self.on_append()
        except BaseException as error:  # every waiting caller learns what happened
            for _, future in batch:
                if not future.done():
                    future.set_exception(error if isinstance(error, Exception) else ConnectionError("shut down"))
            if not isinstance(error, Exception):
                raise

    def _take(self) -> list[_Waiting]:
        """The whole queue, but a stream named twice waits for the next flush: append_batch wants distinct streams."""
        batch, later, streams = list[_Waiting](), list[_Waiting](), set[str]()
        for item in self._queue:
            stream = item[0].stream
            (later if stream in streams else batch).append(item)
            streams.add(stream)
        self._queue = deque(later)
        return batch

    async def _flush_through_failures(self, batch: list[_Waiting]) -> None:
        """A connection lost at COMMIT leaves the outcome unknown: send the same ids again, they are recognised."""
        for pause in (0.05, 0.2, 0.5, 1.0, 2.0):
            try:
                return await self._flush(batch)
            except TRANSIENT:
                await self._give_back()
                batch = [(append, future) for append, future in batch if not future.done()]
                await asyncio.sleep(pause)
        return await self._flush(batch)

    async def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            await self._pool.release(connection)

    async def _flush(self, batch: list[_Waiting]) -> None:
        if self._connection is None:
            self._connection = await self._pool.acquire()
        try:
            results = await append_batch(self._connection, [append for append, _ in batch])
        except (asyncpg.UniqueViolationError, asyncpg.DataError, EventTooLargeError):
            await self._flush_singly(self._connection, batch)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)

    async def _flush_singly(self, connection: Connection, batch: list[_Waiting]) -> None:
        for append, future in batch:
            try:
                result = await append_once(connection, append)
            except (DuplicateEventError, asyncpg.DataError, EventTooLargeError) as error:
                future.set_exception(error)
            else:
                future.set_result(result)

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


def _by_stream(streams: Sequence[str], rows: Iterable[Any]) -> dict[str, list[RecordedEvent]]:
    found: dict[str, list[RecordedEvent]] = {stream: [] for stream in streams}
    for row in rows:
        found[row["stream_id"]].append(recorded(row))
    return found
