"""Many writers, one event each, beside as many plain INSERTs by pgbench."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, nullcontext
from itertools import count
from random import Random

from registry_core.store import Append, Appended
from registry_core.store.postgres import PostgresEventStore
from registry_core.store.sealer import Sealer

from bench.lives import LIFE, life, new_event
from bench.pgbench import inserts_per_second, make_plain_table
from bench.place import Place, ledger_pool_of, pool_of
from bench.timing import for_seconds
from bench.workload import Sample, Sides, ratio_at_least, workload

SECONDS = 3.0
PGBENCH_CLIENTS = 32
MADE_PER_SECOND = 20_000
"""Events made ahead, so that making them is not measured. A faster machine ends its rounds a little early."""


class Writer:
    """Takes versions through their lives, one append at a time, always with the expected version."""

    def __init__(self, store: PostgresEventStore, numbers: Iterable[int], random: Random) -> None:
        self._store = store
        made = [Append(row.stream, [new_event(row)], row.version - 1) for n in numbers for row in life(n, random)]
        self._next = iter(made)

    async def __call__(self) -> int:
        append = next(self._next, None)
        if append is None:
            return 0
        [result] = await self._store.append(append)
        if not isinstance(result, Appended):
            raise TypeError(f"an append to a stream that nobody else writes to met {result}")
        return 1


@workload("append_concurrent", "events/s", ratio_at_least(1.4))
async def append_concurrent(place: Place) -> AsyncIterator[Sides]:
    """32 writers through PostgresEventStore.append with the expected version, the sealer beside them; pgbench -c 32."""
    async with _beside_pgbench(place, writers=32, sealing=True) as sides:
        yield sides


@workload("append_concurrent_512", "events/s", ratio_at_least(1.8))
async def append_concurrent_512(place: Place) -> AsyncIterator[Sides]:
    """The same with 512 writers, and no sealer; pgbench -c 32."""
    async with _beside_pgbench(place, writers=512, sealing=False) as sides:
        yield sides


@asynccontextmanager
async def _beside_pgbench(place: Place, writers: int, *, sealing: bool) -> AsyncIterator[Sides]:
    lives_each = int(MADE_PER_SECOND * SECONDS) // (writers * len(LIFE)) + 1
    async with place.database() as database, pool_of(database) as pool, ledger_pool_of(database) as ledger_pool:
        await make_plain_table(database)
        sealer = Sealer(ledger_pool, partitions=4)
        store = PostgresEventStore(pool, sealer.wake if sealing else lambda: None)
        random, beginnings, turns = Random(place.seed), count(step=writers * lives_each), count()

        async def ours() -> Sample:
            first = next(beginnings)
            numbers = [range(first + w * lives_each, first + (w + 1) * lives_each) for w in range(writers)]
            work = [Writer(store, each, random) for each in numbers]
            async with _running(sealer) if sealing else nullcontext():
                return await for_seconds(SECONDS, *work)

        async def reference() -> Sample:
            return Sample(await inserts_per_second(database, place.folder, PGBENCH_CLIENTS, SECONDS, next(turns)))

        yield Sides(ours, reference)


@asynccontextmanager
async def _running(sealer: Sealer) -> AsyncIterator[None]:
    task = asyncio.create_task(sealer.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
