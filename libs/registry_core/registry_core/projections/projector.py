"""Keeps projections up to date: the tables that are shown all together, and each one that is built beside them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing, suppress
from time import monotonic

import asyncpg
import structlog

from registry_core.notifier import REBUILDS, SEALED, Notifier
from registry_core.projections.follower import FAR, Claim, Follower
from registry_core.projections.live import LiveTables
from registry_core.projections.model import Projection
from registry_core.store.connections import TRANSIENT, Connection, Pool

log = structlog.get_logger()

LONGEST_REST = 0.02
"""Seconds. After a chunk the shown tables rest for as long as it took: fewer, larger transactions under load."""
POLL = 1.0
"""Seconds between looks for what nobody told of."""
_UNDER_WAY = """
    select true from work.projections p, log.sealer_state s where p.projection = $1 and p.version = $2
       and (p.state in ('building', 'ready') or p.state = 'live' and s.next_index - 1 - p.log_index > $3)"""
_PROBLEM = """update work.projections set problem = $3
               where projection = $1 and version = $2 and state in ('building', 'ready')"""
INDEX_SECONDS = 24 * 3600.0


class Projector:
    """`run` follows the tables that are shown, and beside them builds those that are to be; any number may run."""

    def __init__(self, projections: Sequence[Projection], pool: Pool, notifier: Notifier) -> None:
        self._live = LiveTables(projections, pool)
        self._builders = [Builder(projection, pool) for projection in projections]
        self._notifier = notifier

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._repeat(self.follow, SEALED, LONGEST_REST))
            for builder in self._builders:
                tasks.create_task(self._repeat(builder.try_to_build, REBUILDS))

    async def follow(self) -> int:
        """Take a chunk into the tables that are shown; the number of log indexes that was."""
        return await self._live.advance()

    async def _repeat(self, step: Callable[[], Awaitable[int]], channel: str, longest_rest: float = 0.0) -> None:
        with closing(self._notifier.subscribe(channel)) as woken:
            while True:
                started = monotonic()
                try:
                    if await step():
                        await asyncio.sleep(min(monotonic() - started, longest_rest))
                    else:
                        await woken.wait(POLL)
                except (*TRANSIENT, asyncpg.LockNotAvailableError) as error:
                    log.warning("projections wait", reason=repr(error))
                    await asyncio.sleep(0.5)


class Builder:
    """Builds tables of one projection beside the one that is shown, and switches to them."""

    def __init__(self, projection: Projection, pool: Pool) -> None:
        self.projection, self._pool = projection, pool
        self._beside = Follower(projection, pool)

    @property
    def kept_bytes(self) -> int:
        """Of rows, as JSON, that a build keeps in memory between two chunks."""
        return self._beside.kept_bytes

    async def try_to_build(self) -> int:
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
        if not await self._pool.fetchval(_UNDER_WAY, self.projection.name, self.projection.version, FAR):
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
