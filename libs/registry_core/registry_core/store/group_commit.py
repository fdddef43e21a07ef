"""Many appends in one call and one commit."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import asyncpg

from registry_core.store.appending import Outcome, Result, append_each, append_once, as_retries
from registry_core.store.connections import TRANSIENT, Connection, Pool
from registry_core.store.model import ANY, Append, Appended, DuplicateEventError, EventTooLargeError

_LINGER = 0.01
"""Seconds that the connection of the last flush is kept: to give it back and get it again takes two round trips."""
LANES, CROWD = 2, 256
"""A flush takes so many events; when as many still wait, a second connection flushes beside it."""
PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)
"""Seconds between the attempts of one append."""
_UNFIT = (asyncpg.DataError, asyncpg.CheckViolationError, EventTooLargeError)
"""What the store refuses of an append, whatever else is in the store."""
Waiting = tuple[Append, asyncio.Future[Result]]
Turn = list[Waiting]
"""What goes to one stream in one flush, as one append: `append_batch` wants distinct streams."""


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

    def take(self) -> list[Turn]:
        """The first CROWD events, by stream. `done` has to follow."""
        turns, later, taken = dict[str, Turn](), list[Waiting](), 0
        closed = set(self._on_the_way)
        while self._waiting and taken < CROWD:
            waiting = self._waiting.popleft()
            stream, alone = waiting[0].stream, waiting[0].expected is not ANY
            if stream in closed or (alone and stream in turns):
                later.append(waiting)
                closed.add(stream)  # one order: whatever follows waits, too
                continue
            turns.setdefault(stream, []).append(waiting)
            taken += len(waiting[0].events)
            if alone:
                closed.add(stream)
        self._waiting.extendleft(reversed(later))
        self._events -= taken
        self._on_the_way.update(turns)
        self._blocked = not turns and bool(self._waiting)
        return list(turns.values())

    def done(self, turns: Sequence[Turn]) -> None:
        self._on_the_way.difference_update([turn[0][0].stream for turn in turns])
        self._blocked = False


class Lane:
    """A connection that flushes, held from one flush to the next."""

    def __init__(self, pool: Pool, queue: Queue) -> None:
        self._pool, self._queue = pool, queue
        self._connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record] | None = None

    async def flush(self, turns: list[Turn]) -> None:
        try:
            await self._flush_through_failures(turns)
        except BaseException as error:  # every waiting caller learns what happened
            for _, future in _open(turns):
                _settle(future, error if isinstance(error, Exception) else ConnectionError("shut down"))
            if not isinstance(error, Exception):
                raise
        finally:
            self._queue.done(turns)

    async def _flush_through_failures(self, turns: list[Turn]) -> None:
        """A connection lost at COMMIT leaves the outcome unknown: send the same ids again, they are recognised."""
        for pause in PAUSES:
            try:
                return await self._flush(turns)
            except TRANSIENT:
                await self.give_back()
                await asyncio.sleep(pause)
        return await self._flush(turns)

    async def give_back(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            await self._pool.release(connection)

    async def _flush(self, turns: list[Turn]) -> None:
        if self._connection is None:
            self._connection = await self._pool.acquire()
        try:
            await self._send(self._connection, turns)
        except asyncpg.UniqueViolationError:
            await self._flush_around_the_taken(self._connection, turns)
        except _UNFIT:
            await self._flush_singly(self._connection, _open(turns))

    async def _send(self, connection: Connection, turns: list[Turn]) -> None:
        outcomes = await append_each(connection, [_together(turn) for turn in turns])
        for turn, outcome in zip(turns, outcomes, strict=True):
            for (_, future), own in zip(turn, _shares(turn, outcome), strict=True):
                _settle(future, own)

    async def _flush_around_the_taken(self, connection: Connection, turns: list[Turn]) -> None:
        """Nothing was written: those whose ids are taken hear it, and the others go together once more."""
        waiting = _open(turns)
        for (_, future), retry in zip(waiting, await as_retries(connection, [a for a, _ in waiting]), strict=True):
            if retry is not None:
                _settle(future, retry)
        try:
            await self._send(connection, [left for turn in turns if (left := _open([turn]))])
        except (asyncpg.UniqueViolationError, *_UNFIT):  # two of these have one id
            await self._flush_singly(connection, _open(turns))

    async def _flush_singly(self, connection: Connection, waiting: Sequence[Waiting]) -> None:
        for append, future in waiting:
            try:
                _settle(future, await append_once(connection, append))
            except (DuplicateEventError, *_UNFIT) as error:
                _settle(future, error)


def _settle(future: asyncio.Future[Result], outcome: Result | Exception) -> None:
    """Tell a caller, unless it has given up."""
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _open(turns: Sequence[Turn]) -> list[Waiting]:
    """Those whose caller does not know the outcome yet."""
    return [waiting for turn in turns for waiting in turn if not waiting[1].done()]


def _together(turn: Turn) -> Append:
    """One append of all events of a turn."""
    if len(turn) == 1:
        return turn[0][0]
    return Append(turn[0][0].stream, [event for append, _ in turn for event in append.events])


def _shares(turn: Turn, result: Outcome) -> Iterator[Outcome]:
    """What came of each append of a turn; of several, which take any version, all were written."""
    if len(turn) == 1 or not isinstance(result, Appended):
        yield from [result] * len(turn)
        return
    first = result.first_version
    for append, _ in turn:
        yield Appended(first, first + len(append.events) - 1)
        first += len(append.events)


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

    async def append_each(self, *appends: Append) -> list[Result | Exception]:
        """The same, where one that cannot be stored has its error for a result. Raises what passes (TRANSIENT)."""
        waiting = self._queue.put(appends)
        self._open_lane()
        outcomes = await asyncio.gather(*(future for _, future in waiting), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, (DuplicateEventError, *_UNFIT)):
                raise outcome
        return list(outcomes)  # type: ignore[arg-type]  # what is no Exception was raised

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
            while turns := await self._next_turns():
                self._open_lane()
                await lane.flush(turns)
                self.on_append()
        finally:
            self._lanes -= 1
            await lane.give_back()

    async def _next_turns(self) -> list[Turn]:
        """Empty when this lane is to end: another one takes what is left, or nothing came for a while."""
        turns = self._queue.take()
        if turns or self._lanes > 1:
            return turns
        await self._queue.wait(_LINGER)
        return self._queue.take()
