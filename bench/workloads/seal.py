"""Sealing with Merkle leaves, beside merely reading the same rows."""

from collections.abc import AsyncIterator
from itertools import count

import asyncpg

from bench.filling import fill, seal_all
from bench.lives import LIFE, rows
from bench.place import Database, Place, ledger_pool_of
from bench.timing import timed
from bench.workload import Sample, Sides, ratio_at_least, workload

EVENTS = 70_000
_ROWS = """select position, stream_id, version, event_id, type, body_sha256, actor, occurred_at, recorded_at,
                  correlation_id, causation_id, traceparent
             from log.events order by position desc limit $1"""
"""What the sealer reads of an event."""


@workload("seal", "events/s", ratio_at_least(0.4))
async def seal(place: Place) -> AsyncIterator[Sides]:
    """Sealing 70,000 new events, leaves and tiles included; a cursor over the columns that the sealer needs."""
    async with place.database() as database, ledger_pool_of(database) as pool:
        rounds = count()

        async def ours() -> Sample:
            turn = next(rounds)
            await fill(database, rows(EVENTS, place.seed + turn, first=turn * EVENTS // len(LIFE)))
            return await timed(lambda: seal_all(pool))

        async def reference() -> Sample:
            return await timed(lambda: _read(database))

        yield Sides(ours, reference)


async def _read(database: Database) -> int:
    connection, read = await asyncpg.connect(database.service_dsn), 0
    try:
        async with connection.transaction():
            async for _ in connection.cursor(_ROWS, EVENTS, prefetch=5000):
                read += 1
    finally:
        await connection.close()
    return read
