"""Batches of a thousand events, beside COPY of the same rows."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count

import asyncpg
from registry_core.store import Append, Appended
from registry_core.store.postgres import PostgresEventStore

from bench.filling import COLUMNS, records
from bench.lives import Row, new_event, rows
from bench.pgbench import make_plain_table
from bench.place import Place, pool_of
from bench.timing import timed
from bench.workload import Sample, Sides, ratio_at_least, workload

BATCH = 1000
BATCHES = 50
WRITERS = 4


@workload("append_bulk", "events/s", ratio_at_least(0.9))
async def append_bulk(place: Place) -> AsyncIterator[Sides]:
    """Four writers append 1,000 events to one stream each at a time; COPY of the same rows, a transaction each."""
    async with place.database() as database, pool_of(database) as pool:
        await make_plain_table(database)
        store, plain = PostgresEventStore(pool), await asyncpg.connect(database.owner_dsn)
        rounds = count()

        async def ours() -> Sample:
            batches = [_append(batch) for batch in _batches(next(rounds), place.seed)]
            return await timed(lambda: _append_all(store, batches))

        async def reference() -> Sample:
            batches = [list(records(batch)) for batch in _batches(next(rounds), place.seed)]
            return await timed(lambda: _copy_all(plain, batches))

        yield Sides(ours, reference)
        await plain.close()


def _batches(turn: int, seed: int) -> list[list[Row]]:
    """As if each batch were the import of one asset's history: one stream, versions 0 to 999."""
    made = rows(BATCH * BATCHES, seed + turn, first=turn * BATCH * BATCHES)
    return [
        [next(made)._replace(stream=f"asset:model:import-{turn}-{n}", version=v) for v in range(BATCH)]
        for n in range(BATCHES)
    ]


def _append(batch: list[Row]) -> Append:
    return Append(batch[0].stream, [new_event(row) for row in batch], expected=-1)


async def _append_all(store: PostgresEventStore, appends: list[Append]) -> int:
    waiting = iter(appends)

    async def write() -> None:
        for append in waiting:
            assert await store.append(append) == [Appended(0, BATCH - 1)]

    await asyncio.gather(*(write() for _ in range(WRITERS)))
    return BATCH * BATCHES


async def _copy_all(connection: "asyncpg.Connection[asyncpg.Record]", batches: list[list[tuple[object, ...]]]) -> int:
    for batch in batches:
        await connection.copy_records_to_table("plain", columns=COLUMNS, records=batch)
    return BATCH * BATCHES
