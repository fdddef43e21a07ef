"""Rebuilding projections from the log, beside reading the same rows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from hallmark_console.projections import FINDINGS, VERSION_OVERVIEW
from registry_core import projections
from registry_core.projections import Builder, Projection, commands
from registry_core.store.connections import Pool
from registry_core.store.postgres import EVENT_COLUMNS

from bench.filling import filled
from bench.place import Database, Place, pool_of
from bench.timing import timed
from bench.workload import Sample, Sides, ratio_at_least, workload

EVENTS = 1_000_000
FETCH = 2000
_EVERYTHING = f"""select s.log_index, {EVENT_COLUMNS} from log.sealed s join log.events e using (position)
                   order by s.log_index"""


@workload("replay", "events/s", ratio_at_least(0.5))
async def replay(place: Place) -> AsyncIterator[Sides]:
    """version_overview, which folds every event, rebuilt over 1 M events; all columns of the same rows by a cursor."""
    async with _beside_a_cursor(place, VERSION_OVERVIEW) as sides:
        yield sides


@workload("replay_findings", "events/s", ratio_at_least(0.5))
async def replay_findings(place: Place) -> AsyncIterator[Sides]:
    """findings, which names five event types and has the rest skipped, rebuilt over 1 M events; the same cursor."""
    async with _beside_a_cursor(place, FINDINGS) as sides:
        yield sides


@asynccontextmanager
async def _beside_a_cursor(place: Place, projection: Projection) -> AsyncIterator[Sides]:
    source = await filled(place, EVENTS)
    async with place.database(template=source.name) as database, pool_of(database) as pool:
        await install(database, projection)

        async def ours() -> Sample:
            return await rebuilt(database, pool, projection)

        async def reference() -> Sample:
            return await timed(lambda: read_by_cursor(database))

        yield Sides(ours, reference)


async def install(database: Database, projection: Projection) -> None:
    """With a table that is shown, empty, and passes for caught up: it is not what is measured."""
    connection = await asyncpg.connect(database.owner_dsn)
    try:
        await projections.install(connection, [projection])
        await connection.execute("update work.projections set log_index = next_index - 1 from log.sealer_state")
    finally:
        await connection.close()


async def rebuilt(database: Database, pool: Pool, projection: Projection) -> Sample:
    """A table built from nothing until it is ready to be switched to, with its indexes; dropped afterwards, untimed."""
    table = (await commands.rebuild(pool, projection.name, switch=False)).table
    head = await pool.fetchval("select next_index from log.sealer_state")
    builder = Builder(projection, pool)

    async def build() -> int:
        while await builder.build():
            pass
        return int(head)

    sample = await timed(build)
    made = next(t for t in await commands.list_tables(pool, projection.name) if t.table == table)
    if (made.state, made.lag) != ("ready", 0):
        raise RuntimeError(f"{table} is {made.state}, {made.lag} events behind: {made.problem}")
    await commands.drop(pool, projection.name, table)
    return sample


async def read_by_cursor(database: Database) -> int:
    """How many rows that were."""
    connection = await asyncpg.connect(database.service_dsn)
    try:
        async with connection.transaction():
            cursor, rows = await connection.cursor(_EVERYTHING), 0
            while fetched := len(await cursor.fetch(FETCH)):
                rows += fetched
        return rows
    finally:
        await connection.close()
