"""Many appends in one call and one commit."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

import asyncpg

from registry_core.store.appending import Result, append_batch, append_once
from registry_core.store.connections import TRANSIENT, Connection, Pool
from registry_core.store.model import Append, DuplicateEventError, EventTooLargeError

_LINGER = 0.01
"""Seconds that the connection of the last flush is kept: to give it back and get it again takes two round trips."""
LANES, CROWD = 2, 256
"""A flush takes so many events; when as many still wait, a second connection flushes beside it."""
PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)
"""Seconds between the attempts of one append."""
_UNFIT = (asyncpg.DataError, asyncpg.CheckViolationError, EventTooLargeError)
"""What the store refuses of an append, whatever else is in the store."""
Waiting = tuple[Append, asyncio.Future[Result]]


class Queue:
    """Appends that wait. A stream that is on its way to the server waits there for its next turn: one order."""

    def __init__(self) -> None:
        self._waiting: deque[Waiting] = deque()
        self._on_the_way: set[str] = set()
        self._arrived = asyncio.Event()
        self._events = 0
        self._blocked = False
        """All that waits is for streams on the way."""

    @property
    def crowded(self) -> bool:
        """Whether there is enough for a flush beside another."""
        return self._events >= CROWD and not self._blocked

    def put(self, appends: Sequence[Append]) -> list[Waiting]:
        loop = asyncio.get_running_loop()
        waiting = [(append, loop.create_future()) for append in appends]
        self._waiting.extend(waiting)
        self._events += sum([len(append.events) for append in appends])
        self._arrived.set()
        return waiting

    async def wait(self, seconds: float) -> None:
        """For the next arrival: busy writers are just about to append again."""
        self._arrived.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._arrived.wait()

    def take(self) -> list[Waiting]:
        """The first CROWD events, each stream once: append_batch wants distinct streams. `done` has to follow."""
        batch, later, taken = list[Waiting](), list[Waiting](), 0
        while self._waiting and taken < CROWD:
            append, future = self._waiting.popleft()
            if append.stream in self._on_the_way:
                later.append((append, future))
            else:
                self._on_the_way.add(append.stream)
                batch.append((append, future))
                taken += len(append.events)
        self._waiting.extendleft(reversed(later))
        self._events -= taken
        self._blocked = not batch and bool(self._waiting)
        return batch

    def done(self, batch: Sequence[Waiting]) -> None:
        self._on_the_way.difference_update([append.stream for append, _ in batch])
        self._blocked = False


class Lane:
    """A connection that flushes, held from one flush to the next."""

    def __init__(self, pool: Pool, queue: Queue) -> None:
        self._pool, self._queue = pool, queue
        self._connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record] | None = None

    async def flush(self, batch: list[Waiting]) -> None:
        try:
            await self._flush_through_failures(batch)
        except BaseException as error:  # every waiting caller learns what happened
            for _, future in batch:
                if not future.done():
                    future.set_exception(error if isinstance(error, Exception) else ConnectionError("shut down"))
            if not isinstance(error, Exception):
                raise
        finally:
            self._queue.done(batch)

    async def _flush_through_failures(self, batch: list[Waiting]) -> None:
        """A connection lost at COMMIT leaves the outcome unknown: send the same ids again, they are recognised."""
        for pause in PAUSES:
            try:
                return await self._flush(batch)
            except TRANSIENT:
                await self.give_back()
                batch = [(append, future) for append, future in batch if not future.done()]
                await asyncio.sleep(pause)
        return await self._flush(batch)

    async def give_back(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            await self._pool.release(connection)

    async def _flush(self, batch: list[Waiting]) -> None:
        if self._connection is None:
            self._connection = await self._pool.acquire()
        try:
            results = await append_batch(self._connection, [append for append, _ in batch])
        except (asyncpg.UniqueViolationError, *_UNFIT):
            await self._flush_singly(self._connection, batch)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)

    async def _flush_singly(self, connection: Connection, batch: list[Waiting]) -> None:
        for append, future in batch:
            try:
                result = await append_once(connection, append)
            except (DuplicateEventError, *_UNFIT) as error:
                future.set_exception(error)
            else:
                future.set_result(result)


class GroupCommit:
    """Group commit: whatever has queued up while the last flush ran goes to the server in one call.

    32 writers reach several times the rate of 32 connections this way, and for them more connections bring nothing
    (docs/decisions/0003). Only a crowd gets a second one: its events are encoded while the server works on the first's.
    After a lost connection the same ids are sent again, so an unknown outcome is harmless.
    """

    def __init__(self, pool: Pool, on_append: Callable[[], None] = lambda: None) -> None:
        self._pool = pool
        self.on_append = on_append
        self._queue = Queue()
        self._lanes = 0
        self._running = set[asyncio.Task[None]]()

    async def append(self, *appends: Append) -> list[Result]:
        waiting = self._queue.put(appends)
        self._open_lane()
        if len(waiting) == 1:
            return [await waiting[0][1]]
        return list(await asyncio.gather(*(future for _, future in waiting)))

    def _open_lane(self) -> None:
        """If there is none, or a crowd for one more."""
        if not self._lanes or (self._lanes < LANES and self._queue.crowded):
            self._lanes += 1
            task = asyncio.create_task(self._run_lane())
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run_lane(self) -> None:
        lane = Lane(self._pool, self._queue)
        try:
            while batch := await self._next_batch():
                self._open_lane()
                await lane.flush(batch)
                self.on_append()
        finally:
            self._lanes -= 1
            await lane.give_back()

    async def _next_batch(self) -> list[Waiting]:
        """Empty when this lane is to end: another one takes what is left, or nothing came for a while."""
        batch = self._queue.take()
        if batch or self._lanes > 1:
            return batch
        await self._queue.wait(_LINGER)
        return self._queue.take()
