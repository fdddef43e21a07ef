"""One model's state as of a time, in a large log beside a small one."""

from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from random import Random
from typing import Any

from registry_core.handlers import fold
from registry_core.moments import Moment
from registry_core.store.connections import Pool
from registry_core.store.postgres import PostgresEventStore
from registry_core.values import State
from registry_core.version import Version

from bench.filling import filled, warm
from bench.lives import BEGINNING, LIFE, stream_of
from bench.place import Place, pool_of
from bench.timing import for_seconds
from bench.workload import Sample, Sides, ratio_at_least, workload

EVENTS, FEW = 10_000_000, 100_000
SECONDS = 3.0
SLOWER = 1.5
"""How many times as slow the query may be in the large log."""


@workload("point_in_time", "states/s", ratio_at_least(1 / SLOWER))
async def point_in_time(place: Place) -> AsyncIterator[Sides]:
    """A random model's state as of a time and known now, folded; 10 million events in store, and 100 thousand."""
    large, small = await filled(place, EVENTS), await filled(place, FEW)
    await warm(large)
    async with pool_of(large, 1) as in_large, pool_of(small, 1) as in_small:
        states = [_states(pool, count, Random(place.seed)) for pool, count in ((in_large, EVENTS), (in_small, FEW))]

        async def ours() -> Sample:
            return await for_seconds(SECONDS, states[0])

        async def reference() -> Sample:
            return await for_seconds(SECONDS, states[1])

        yield Sides(ours, reference)


def _states(pool: Pool, events: int, random: Random) -> Callable[[], Coroutine[Any, Any, int]]:
    store, versions = PostgresEventStore(pool), events // len(LIFE) // 10 * 10

    async def one() -> int:
        stream = stream_of(random.randrange(versions))
        moment = Moment(as_of=BEGINNING + timedelta(seconds=events))
        read = (await store.read_streams_at([stream], moment))[stream]
        if fold(Version(), read).state is not State.APPROVED:
            raise RuntimeError(f"{stream} is not as it was filled")
        return 1

    return one
