"""Inclusion proofs out of a log of ten million events."""

from collections.abc import AsyncIterator
from random import Random

from hallmark_ledger.log import inclusion_proof, log_size
from registry_core.store.tiles import StoredTree

from bench.filling import filled, warm
from bench.place import Place, pool_of
from bench.timing import for_seconds
from bench.workload import Sample, Sides, p99_at_most, workload

EVENTS = 10_000_000
SECONDS = 3.0


@workload("prove", "proofs/s", p99_at_most(2.0))
async def prove(place: Place) -> AsyncIterator[Sides]:
    """The inclusion proof of a random event of 10 million, read and computed as the ledger's route does."""
    database, random = await filled(place, EVENTS), Random(place.seed)
    await warm(database)
    async with pool_of(database) as pool:
        tree = StoredTree(pool)

        async def one() -> int:
            size = await log_size(pool)
            assert await inclusion_proof(tree, random.randrange(size), size)
            return 1

        async def ours() -> Sample:
            return await for_seconds(SECONDS, one)

        yield Sides(ours)
