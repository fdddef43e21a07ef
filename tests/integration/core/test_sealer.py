"""The order of the log, and the traps of the ordering scheme: each test fails when its remedy is taken out."""

import asyncio
from random import Random
from uuid import uuid4

import asyncpg
import pytest
from conftest import Database
from registry_core.events.versions import VersionAdded
from registry_core.proofs.merkle import ProofError, root, verify_consistency, verify_inclusion
from registry_core.proofs.tiles import plan_consistency, plan_head, plan_inclusion, rebuild_head
from registry_core.store import ANY, Append, schema
from registry_core.store import tiles as stored
from registry_core.store.appending import append_batch
from registry_core.store.connections import Pool
from registry_core.store.postgres import PostgresEventStore
from registry_core.store.sealer import LogWentBackError, Sealer
from registry_core.store.tiles import read_entries
from support import new, until


def append(stream: str, count: int = 1) -> Append:
    data = [VersionAdded(ref=f"model:m@1.0.{n}", digest="sha256:" + "0" * 64) for n in range(count)]
    return Append(stream, [new(item) for item in data], ANY)


async def seal_all(ledger_pool: Pool) -> None:
    sealer = Sealer(ledger_pool, partitions=4)
    while await sealer.seal_once():
        pass


async def sealed_positions(pool: Pool) -> list[int]:
    return [row["position"] for row in await pool.fetch("select position from log.sealed order by log_index")]


async def test_an_open_transaction_neither_stalls_nor_loses_events(pool: Pool, ledger_pool: Pool) -> None:
    """A position watermark would pass the open transaction's rows by for ever."""
    async with pool.acquire() as slow:
        transaction = slow.transaction()
        await transaction.start()
        await append_batch(slow, [append("slow")])
        await PostgresEventStore(pool).append(append("fast"))
        await seal_all(ledger_pool)
        assert len(await sealed_positions(pool)) == 1
        await transaction.commit()
    await seal_all(ledger_pool)
    assert len(await sealed_positions(pool)) == 2


async def test_a_rolled_back_append_leaves_no_gap_in_the_log(pool: Pool, ledger_pool: Pool) -> None:
    store = PostgresEventStore(pool)
    await store.append(append("a"))
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await append_batch(connection, [append("gone")])
        await transaction.rollback()
    await store.append(append("b"))
    await seal_all(ledger_pool)
    indexes = [row["log_index"] for row in await pool.fetch("select log_index from log.sealed order by 1")]
    assert indexes == [0, 1]


async def test_an_append_in_a_savepoint_is_sealed(pool: Pool, ledger_pool: Pool) -> None:
    """Rows of a savepoint carry another xmin; the stored pg_current_xact_id() is the transaction's."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("create temporary table other_write (n int)")
        async with connection.transaction():
            await append_batch(connection, [append("s")])
    await seal_all(ledger_pool)
    assert len(await sealed_positions(pool)) == 1


async def test_two_sealers_never_number_an_event_twice(pool: Pool, ledger_pool: Pool) -> None:
    store, rivals = PostgresEventStore(pool), [Sealer(ledger_pool, 4), Sealer(ledger_pool, 4)]
    writing = asyncio.gather(*(store.append(append(f"s{n % 5}")) for n in range(300)))
    while not writing.done():
        await asyncio.gather(*(sealer.seal_once() for sealer in rivals))
    await seal_all(ledger_pool)
    positions = await sealed_positions(pool)
    assert len(positions) == len(set(positions)) == 300


async def test_a_backlog_is_sealed_in_parts_and_in_order(
    pool: Pool, ledger_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry_core.store.sealer.BATCH", 7)
    store = PostgresEventStore(pool)
    await asyncio.gather(*(store.append(append(f"s{n % 3}")) for n in range(40)))
    await seal_all(ledger_pool)
    rows = await pool.fetch(
        "select stream_id, version from log.sealed join log.events using (position) order by log_index"
    )
    for stream in {row["stream_id"] for row in rows}:
        versions = [row["version"] for row in rows if row["stream_id"] == stream]
        assert versions == list(range(len(versions)))
    assert len(rows) == 40


async def test_after_a_restore_no_event_stays_unsealed(
    pool: Pool, ledger_pool: Pool, owner: asyncpg.Connection
) -> None:
    """A restored cluster counts transactions from the start: the stored snapshot would hide new rows for ever."""
    await PostgresEventStore(pool).append(append("before"))
    await seal_all(ledger_pool)
    await owner.execute(
        "update log.sealer_state set snapshot = '999999999:999999999:', system_identifier = system_identifier - 1"
    )
    await PostgresEventStore(pool).append(append("after"))
    await seal_all(ledger_pool)
    assert len(await sealed_positions(pool)) == 1, "the snapshot of another cluster hides the event"
    assert await ledger_pool.fetchval("select log.rewind_sealer_after_restore()")
    await seal_all(ledger_pool)
    assert len(await sealed_positions(pool)) == 2


async def test_the_sequence_hands_out_positions_one_by_one(owner: asyncpg.Connection) -> None:
    """A cached block per connection would break the order of positions within a stream."""
    sequence = await owner.fetchval("select pg_get_serial_sequence('log.events', 'position')")
    assert await owner.fetchval("select seqcache from pg_sequence where seqrelid = $1::regclass", sequence) == 1


async def test_the_stored_tree_is_the_tree_of_all_leaves(pool: Pool, ledger_pool: Pool) -> None:
    store = PostgresEventStore(pool)
    for n in range(6):
        await store.append(*[append(f"s{uuid4()}") for _ in range(50)])
        await seal_all(ledger_pool)
        del n
    leaves = [row["leaf_hash"] for row in await pool.fetch("select leaf_hash from log.sealed order by log_index")]
    head = rebuild_head(300, await read_entries(pool, plan_head(300).reads))
    assert head.root == root(leaves)
    for index in (0, 255, 256, 299):
        plan = plan_inclusion(index, 300)
        verify_inclusion(leaves[index], index, 300, plan.compute(await read_entries(pool, plan.reads)), head.root)


@pytest.mark.parametrize("kept", [0, 9, 50_000])
async def test_proofs_are_the_same_whatever_is_kept_in_memory(
    pool: Pool, ledger_pool: Pool, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(stored, "KEPT", kept)
    await PostgresEventStore(pool).append(*[append(f"s{n}") for n in range(700)])
    await seal_all(ledger_pool)
    leaves = [row["leaf_hash"] for row in await pool.fetch("select leaf_hash from log.sealed order by log_index")]
    tree, random = stored.StoredTree(pool), Random(kept)
    for _ in range(60):
        size = random.randrange(1, 701)
        index, old = random.randrange(size), random.randrange(1, size + 1)
        inclusion, consistency = await tree.compute(plan_inclusion(index, size), plan_consistency(old, size))
        verify_inclusion(leaves[index], index, size, inclusion, root(leaves[:size]))
        verify_consistency(old, size, consistency, root(leaves[:old]), root(leaves[:size]))
        assert len(tree._kept) <= kept
    with pytest.raises(ProofError, match="was not read"):
        await tree.compute(plan_inclusion(700, 800))


async def test_each_partition_knows_its_previous_index(pool: Pool, ledger_pool: Pool) -> None:
    store = PostgresEventStore(pool)
    for n in range(30):
        await store.append(append(f"s{n % 8}"))
        await seal_all(ledger_pool)
    last: dict[tuple[str, int], int] = {}
    for row in await pool.fetch("select * from log.sealed order by log_index"):
        home = (row["topic"], row["partition"])
        assert row["previous_index"] == last.get(home, -1)
        last[home] = row["log_index"]


async def test_a_log_that_went_back_under_a_running_sealer_is_not_sealed_on(
    pool: Pool, ledger_pool: Pool, owner: asyncpg.Connection
) -> None:
    """A replica that lagged behind took over, or an older state was put back: others may have seen what is gone."""
    store, sealer = PostgresEventStore(pool), Sealer(ledger_pool, partitions=4)
    await store.append(append("a", 3))
    await sealer.seal_once()
    assert await sealer.seal_once() == 0  # it saw that these three are there for good
    await owner.execute("set session_replication_role = replica")
    await owner.execute("delete from log.sealed where log_index = 2; update log.sealer_state set next_index = 2")
    await store.append(append("b"))
    with pytest.raises(LogWentBackError, match="had 3 sealed events and has 2"):
        await sealer.seal_once()
    assert await sealed_positions(pool) == [1, 2]


OF_EARLIER = """
    delete from log.tiles;
    insert into log.tiles values (1, 0, repeat('x', 32)::bytea);
    update log.sealer_state set peaks = null;
    create function log.seal(bigint, bigint, text, bigint, bigint, smallint[], bigint[], bytea[]) returns void
      language sql as 'select null';
    create function log.try_sealer_lock() returns boolean language sql as 'select true'"""


async def test_tiles_of_an_earlier_release_are_made_anew_and_the_log_goes_on(
    pool: Pool, ledger_pool: Pool, owner: asyncpg.Connection, database: Database
) -> None:
    """They were of height 8: one tile where there now are sixteen."""
    store = PostgresEventStore(pool)
    await store.append(append("s", 300))
    await seal_all(ledger_pool)
    await owner.execute(OF_EARLIER)
    await schema.install(database.owner_dsn)
    await store.append(append("s", 300))
    await seal_all(ledger_pool)
    leaves = [row["leaf_hash"] for row in await pool.fetch("select leaf_hash from log.sealed order by log_index")]
    assert rebuild_head(600, await read_entries(pool, plan_head(600).reads)).root == root(leaves)
    assert await pool.fetchval(
        "select to_regproc('log.try_sealer_lock') is null and to_regproc('log.seal') is not null"
    )


@pytest.mark.parametrize("chunk", [16, 48, 4096])
async def test_a_missing_tree_is_made_of_parts(
    pool: Pool, ledger_pool: Pool, owner: asyncpg.Connection, chunk: int
) -> None:
    await PostgresEventStore(pool).append(append("s", 300))
    await seal_all(ledger_pool)
    tree = "select peaks, (select array_agg(t order by t) from log.tiles t) from log.sealer_state"
    made = await owner.fetchrow(tree)
    await owner.execute("update log.sealer_state set peaks = null")
    await owner.execute("select log.make_missing_tree($1)", chunk)
    again = await owner.fetchrow(
        "select peaks, (select array_agg(t order by t) from log.tiles t) from log.sealer_state"
    )
    assert again == made


async def test_while_a_missing_tree_is_made_appends_go_on_and_nothing_is_sealed(
    pool: Pool, ledger_pool: Pool, owner: asyncpg.Connection
) -> None:
    store, sealer = PostgresEventStore(pool), Sealer(ledger_pool, partitions=4)
    async with owner.transaction():
        await owner.execute("update log.sealer_state set peaks = null")
        await owner.execute("select log.make_missing_tree()")
        await store.append(append("s"))
        assert await sealer.seal_once() == 0
    assert await sealer.seal_once() == 1


async def test_two_sealers_that_bring_the_same_topics_wait_for_each_other(
    ledger_pool: Pool, owner: asyncpg.Connection
) -> None:
    async with owner.transaction():
        await owner.execute("select log.add_topics('{new}')")
        other = asyncio.create_task(ledger_pool.fetch("select * from log.add_topics('{new}')"))
        await until(lambda: ledger_pool.fetchval("select true from pg_stat_activity where wait_event_type = 'Lock'"))
    assert [row["name"] for row in await other] == ["new"]


async def test_whoever_listens_is_told_what_is_sealed(pool: Pool, ledger_pool: Pool, owner: asyncpg.Connection) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    await owner.add_listener("sealed", lambda *heard: told.put_nowait(heard[-1]))
    await PostgresEventStore(pool).append(append("s", 3))
    await seal_all(ledger_pool)
    assert await asyncio.wait_for(told.get(), 10) == "3"


async def test_tiles_of_a_log_that_lacks_a_leaf_are_not_made_and_nothing_is_sealed_on(
    pool: Pool, ledger_pool: Pool, owner: asyncpg.Connection, database: Database
) -> None:
    await PostgresEventStore(pool).append(append("s", 300))
    await seal_all(ledger_pool)
    await owner.execute("set session_replication_role = replica; delete from log.sealed where log_index = 7")
    await owner.execute(OF_EARLIER)
    await schema.install(database.owner_dsn)
    await PostgresEventStore(pool).append(append("s", 1))
    with pytest.raises(asyncpg.DataCorruptedError, match="the tree of 300 leaves is not made yet"):
        await seal_all(ledger_pool)
