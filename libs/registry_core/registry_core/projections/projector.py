"""Keeps one projection up to date, and builds further tables of it beside the one that is shown."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from time import monotonic

import asyncpg
import structlog

from registry_core.notifier import REBUILDS, SEALED, Notifier
from registry_core.projections.model import LeftOut, Projection, keep_silent, tell
from registry_core.projections.reading import reading
from registry_core.projections.table import Table
from registry_core.store.connections import TRANSIENT, Connection, Pool
from registry_core.telemetry import LAG

log = structlog.get_logger()

CHUNK_EVENTS, CHUNK_ROWS, CHUNK_BYTES = 100_000, 20_000, 16 * 1024 * 1024
"""A transaction takes in so many log indexes at most, and ends early after so many rows or bytes of events."""
LONGEST_REST = 0.02
"""Seconds. After a chunk a follower rests for as long as it took: fewer, larger transactions under load."""
POLL = 1.0
"""Seconds between looks for a table to build."""
_UNDER_WAY = """select true from work.projections
                 where projection = $1 and version = $2 and state in ('building', 'ready')"""
_PROBLEM = """update work.projections set problem = $3
               where projection = $1 and version = $2 and state in ('building', 'ready')"""
INDEX_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Claim:
    """A table that this process alone works on, to the end of the transaction."""

    table: str
    state: str
    at: int
    """Log index that the table stands at."""
    head: int
    """Log index of the newest sealed event."""
    switch: bool
    """Whether it is to be shown once it has caught up."""


class Follower:
    """Folds the log into the table that is in one of these states; any number may run, one works at a time."""

    def __init__(self, projection: Projection, pool: Pool, states: Sequence[str], left_out: LeftOut) -> None:
        self.projection, self._pool, self._states, self._left_out = projection, pool, states, left_out
        self._table: Table | None = None

    @property
    def kept_bytes(self) -> int:
        return self._table.kept_bytes if self._table else 0

    @asynccontextmanager
    async def claimed(self) -> AsyncIterator[tuple[Connection, Claim | None]]:
        """A transaction, and the table if there is one and nobody else has it."""
        async with self._pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(
                """select name, state, log_index, (select next_index - 1 from log.sealer_state), switch_when_ready
                     from work.projections where projection = $1 and version = $2 and state = any($3)
                      for update of projections skip locked""",
                self.projection.name, self.projection.version, self._states,
            )  # fmt: skip
            yield connection, Claim(*row.values()) if row else None

    async def advance(self) -> int:
        """Take in the next chunk; the number of log indexes that was."""
        async with self.claimed() as (connection, claim):
            if claim is None or claim.at >= claim.head:
                if self._table:
                    self._table.forget_rows()
                return 0
            at = await self.take_in(connection, claim)
        if claim.state == "live":
            LAG.labels("projection", self.projection.name, 0).set(claim.head - at)
        return at - claim.at

    async def take_in(self, connection: Connection, claim: Claim) -> int:
        """Fold and write a chunk in the caller's transaction; where the table then stands."""
        table = self._as_of(claim)
        last = min(claim.head, claim.at + CHUNK_EVENTS)
        at = await self._fold(connection, table, last)
        await table.write(connection, at)
        if claim.state == "live":  # a small chunk at a time: rows are read again, whoever changed them
            table.forget_rows()
        self._table = table
        return at

    def _as_of(self, claim: Claim) -> Table:
        """What is in memory, if nobody else has written since; out of reach until this chunk is written, too."""
        table, self._table = self._table, None
        if table is None or table.name != claim.table:
            table = Table(self.projection, claim.table, claim.at, self._left_out)
        elif table.at != claim.at:
            table.forget_rows()
            table.at = claim.at
        return table

    async def _fold(self, connection: Connection, table: Table, last: int) -> int:
        at, size = table.at, 0
        async with reading(self._pool, connection, at, last, self.projection.types) as windows:
            async for window in windows:
                await table.fold(connection, window.entries)
                at, size = window.last, size + sum([len(entry.body or b"") for entry in window.entries])
                if table.waiting >= CHUNK_ROWS or size >= CHUNK_BYTES:
                    break
        return at


class Projector:
    """`run` follows the table that is shown, and beside it builds one that is to be; any number may run."""

    def __init__(self, projection: Projection, pool: Pool, notifier: Notifier) -> None:
        self.projection, self._pool, self._notifier = projection, pool, notifier
        self._live = Follower(projection, pool, ("live",), tell)
        self._beside = Follower(projection, pool, ("building", "ready"), keep_silent)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._repeat(self.follow, 1.0, SEALED, LONGEST_REST))
            tasks.create_task(self._repeat(self._try_to_build, POLL, REBUILDS))

    async def _repeat(
        self, step: Callable[[], Awaitable[int]], seconds: float, channel: str, longest_rest: float = 0.0
    ) -> None:
        with closing(self._notifier.subscribe(channel)) as woken:
            while True:
                started = monotonic()
                try:
                    if await step():
                        await asyncio.sleep(min(monotonic() - started, longest_rest))
                    else:
                        await woken.wait(seconds)
                except (*TRANSIENT, asyncpg.LockNotAvailableError) as error:
                    log.warning("projection waits", projection=self.projection.name, reason=repr(error))
                    await asyncio.sleep(0.5)

    @property
    def kept_bytes(self) -> int:
        """Of rows, as JSON, that a build keeps in memory between two chunks."""
        return self._beside.kept_bytes

    async def follow(self) -> int:
        """Take a chunk into the table that is shown; the number of log indexes that was."""
        return await self._live.advance()

    async def _try_to_build(self) -> int:
        """`build`; a table that cannot be built is told of, and stands in nobody's way."""
        try:
            return await self.build()
        except asyncpg.PostgresError as error:
            if isinstance(error, (*TRANSIENT, asyncpg.LockNotAvailableError)):
                raise
            log.exception("projection cannot be built", projection=self.projection.name)
            await self._pool.execute(_PROBLEM, self.projection.name, self.projection.version, str(error)[:1000])
            return 0

    async def build(self) -> int:
        """One step of the table beside: a chunk, or what follows once it has caught up. 0: nothing is to be done."""
        if not await self._pool.fetchval(_UNDER_WAY, self.projection.name, self.projection.version):
            return 0
        return await self._beside.advance() or await self._make_ready() or await self._switch()

    async def _make_ready(self) -> int:
        """Indexes and statistics; what is sealed meanwhile is taken in afterwards."""
        async with self._beside.claimed() as (connection, claim):
            if claim is None or claim.state != "building":
                return 0
            await connection.execute("select work.index_generation($1)", claim.table, timeout=INDEX_SECONDS)
            await connection.execute(
                """update work.projections set state = 'ready', ready_at = clock_timestamp(), problem = null
                    where name = $1""",
                claim.table,
            )
        log.info("projection is ready", projection=self.projection.name, table=claim.table)
        return 1

    async def _switch(self) -> int:
        """Show the table: no reader sees less than before, for nothing moves while both stand at the same place."""
        async with self._beside.claimed() as (connection, claim):
            if claim is None or claim.state != "ready" or not claim.switch:
                return 0
            shown = await connection.fetchval(
                "select log_index from work.projections where projection = $1 and state = 'live' for update",
                self.projection.name,
            )
            if await self._stands_at(connection, claim) < (shown or -1):
                return 1  # one more chunk first
            await connection.execute("select work.switch_view($1)", claim.table)
        log.info("projection is switched", projection=self.projection.name, table=claim.table)
        await self._drop_older()
        return 1

    async def _stands_at(self, connection: Connection, claim: Claim) -> int:
        return await self._beside.take_in(connection, claim) if claim.at < claim.head else claim.at

    async def _drop_older(self) -> None:
        """All but the one shown before, which can be switched back to."""
        rows = await self._pool.fetch(
            """select name from work.projections where projection = $1 and state = 'kept'
                order by live_since desc nulls last, version desc, generation desc offset 1""",
            self.projection.name,
        )
        for row in rows:
            with suppress(asyncpg.LockNotAvailableError):  # somebody still reads it: the next switch drops it
                await self._pool.execute("select work.drop_generation($1)", row["name"])
