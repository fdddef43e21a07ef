"""Which topic carries an event: types that this build does not know, and numbers that another server may not have."""

import asyncio

import asyncpg
import pytest
from registry_core.store.connections import Pool
from registry_core.store.sealer import Sealer

NAMED = "select count(*) from log.sealed join log.topics on number = topic"


async def append_types(pool: Pool, *types: str) -> None:
    """One event of each type, by the services' own right to append."""
    for event_type in types:
        await pool.execute(
            """select log.append_batch('{s}', '{null}', '{1}', '{1}', '{0}', array[gen_random_uuid()], array[$1],
                 '{"{}"}', '{a}', array[now()], array[gen_random_uuid()], null, null)""",
            event_type,
        )


async def test_a_type_not_known_before_is_sealed_together_with_one_that_is_new(pool: Pool, ledger_pool: Pool) -> None:
    """Learning the second and forgetting the first for it, in turn, would never end: sealing would stop for good."""
    sealer = Sealer(ledger_pool, partitions=4)
    await append_types(pool, "a.v99")
    assert await sealer.seal_once() == 1
    await append_types(pool, "a.v99", "b.v99")
    async with asyncio.timeout(5):
        assert await sealer.seal_once() == 2
    await append_types(pool, *(f"{n}.v99" for n in range(20)), "b.v99", "a.v99")
    async with asyncio.timeout(5):
        assert await sealer.seal_once() == 22


async def test_numbers_of_topics_are_asked_for_anew_after_a_failure(
    pool: Pool, ledger_pool: Pool, owner: asyncpg.Connection
) -> None:
    """A server that took over may lack a topic: what is sealed under its number nobody would ever be told of."""
    sealer = Sealer(ledger_pool, partitions=4)
    await append_types(pool, "a.v99")
    assert await sealer.seal_once() == 1
    await owner.execute("delete from log.topics")
    await owner.execute("alter function log.seal rename to seal_away")
    with pytest.raises(asyncpg.UndefinedFunctionError):
        await sealer.seal_once()
    await owner.execute("alter function log.seal_away rename to seal")
    await append_types(pool, "b.v99")
    assert await sealer.seal_once() == 1
    assert await pool.fetchval(NAMED) == 1
