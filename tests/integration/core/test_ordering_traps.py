"""The traps of the ordering scheme (docs/decisions/0003): each check holds, and fails when its remedy is taken out.

A trap is a check, and what takes the remedy out: other SQL for the schema, or a patch of the client.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import asyncpg
import pytest
from registry_core.local.postgres import LocalPostgres
from registry_core.store import ANY, Append, Appended, DuplicateEventError, schema
from registry_core.store import sealer as sealing
from registry_core.store.appending import append_batch
from registry_core.store.connections import Pool
from registry_core.store.group_commit import Lane, Queue
from registry_core.store.postgres import PostgresEventStore
from registry_core.store.sealer import Sealer
from support import new, until
from support_log import (
    LossyNetwork,
    append,
    check_log,
    seal_all,
    with_more,
    without,
)

REJECTED = Path(__file__).parents[3] / "bench" / "rejected"
Sql = Mapping[str, str]
Patch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Site:
    """A database with its own version of the schema."""

    pool: Pool
    socket: Path
    dsn: str
    folder: Path


@pytest.fixture(autouse=True)
def short_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few events are a backlog."""
    monkeypatch.setattr(sealing, "BATCH", 7)


@asynccontextmanager
async def site(server: LocalPostgres, folder: Path, sql: Sql) -> AsyncIterator[Site]:
    name = f"t{uuid4().hex[:12]}"
    await server.database(name)
    dsn = server.dsn_of(name, role="postgres")  # who may do what is tested elsewhere
    await schema.install(dsn, sql)
    async with asyncpg.create_pool(dsn, min_size=1, max_size=8, command_timeout=30) as pool:
        yield Site(pool, server.data_dir / "socket" / ".s.PGSQL.5432", dsn, folder)


HELD_UP = """
    create function log.hold_up() returns trigger language plpgsql as $$
    begin perform pg_advisory_xact_lock_shared(77); return null; end $$;
    create trigger held_up before insert on log.sealed for each statement execute function log.hold_up()"""


async def what_commits_in_the_middle_of_a_pass_is_sealed(place: Site) -> None:
    store, sealer = PostgresEventStore(place.pool), Sealer(place.pool, partitions=4)
    await store.append(append("first"))
    await place.pool.execute(HELD_UP)
    async with place.pool.acquire() as holder, holder.transaction():
        await holder.execute("select pg_advisory_xact_lock(77)")
        passing = asyncio.create_task(sealer.seal_once())
        await until(lambda: _waiting(place.pool, 1, "log.seal"))
        await store.append(append("meanwhile"))
    assert await passing == 1
    await seal_all(place.pool, sealer)
    await check_log(place.pool, 2)


async def a_backlog_sealed_in_parts_keeps_a_streams_order(place: Site) -> None:
    """An append commits behind the part that is sealed already, and its successor before the backlog is through."""
    async with place.pool.acquire() as slow:
        late = slow.transaction()
        await late.start()
        await append_batch(slow, [append("s")])
        await PostgresEventStore(place.pool).append(*[append(f"backlog-{n}") for n in range(2 * sealing.BATCH + 3)])
        sealer = Sealer(place.pool, partitions=4)
        assert await sealer.seal_once() == sealing.BATCH
        await late.commit()
    await PostgresEventStore(place.pool).append(append("s"))
    await seal_all(place.pool, sealer)
    await check_log(place.pool, 2 * sealing.BATCH + 5)


async def connections_that_take_turns_keep_a_streams_order(place: Site) -> None:
    async with place.pool.acquire() as one, place.pool.acquire() as other:
        for _ in range(3):
            await append_batch(one, [append("s")])
            await append_batch(other, [append("s")])
    await seal_all(place.pool)
    await check_log(place.pool, 6)


async def what_a_savepoint_wrote_is_sealed(place: Site) -> None:
    """The savepoint has an id of its own, which the snapshot of a pass in between does not list as running."""
    store = PostgresEventStore(place.pool)
    async with place.pool.acquire() as connection, connection.transaction():
        await append_batch(connection, [append("outside the savepoint")])
        async with connection.transaction():
            await append_batch(connection, [append("inside the savepoint")])
        await store.append(append("meanwhile"))
        await seal_all(place.pool)
    await seal_all(place.pool)
    await check_log(place.pool, 3)


async def a_transaction_older_than_its_turn_on_a_stream_keeps_the_order(place: Site) -> None:
    """It wrote something else first, so its id is lower than that of the version before its own."""
    async with place.pool.acquire() as connection, connection.transaction():
        await connection.execute("select pg_current_xact_id()")
        await PostgresEventStore(place.pool).append(append("s"))
        await append_batch(connection, [append("s")])
    await seal_all(place.pool)
    await check_log(place.pool, 2)


async def overlapping_batches_in_any_order_do_not_deadlock(place: Site) -> None:
    """Both are held up at the stream in their middle, with what they named before it already locked."""
    async with place.pool.acquire() as holder:
        held = holder.transaction()
        await held.start()
        await append_batch(holder, [append("m")])
        writing = [asyncio.create_task(_append_in_one_call(place.pool, order)) for order in ("amz", "zma")]
        await until(lambda: _waiting(place.pool, 2, "log.append_batch"))
        await held.commit()
        await asyncio.gather(*writing)
    await seal_all(place.pool)
    await check_log(place.pool, 7)


async def _append_in_one_call(pool: Pool, streams: str) -> None:
    async with pool.acquire() as connection:
        await append_batch(connection, [append(stream) for stream in streams])


async def _waiting(pool: Pool, count: int, call: str) -> bool:
    """Whether so many calls of this function wait for locks of others."""
    found: int = await pool.fetchval(
        """select count(*) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock' and query like '%' || $1 || '%'""",
        call,
    )
    return found == count


async def of_two_sealers_one_works(place: Site) -> None:
    store, rivals = PostgresEventStore(place.pool), [Sealer(place.pool, 4), Sealer(place.pool, 4)]
    for n in range(20):
        await asyncio.gather(*(store.append(append(f"s{n}-{m}")) for m in range(10)))
        await asyncio.gather(*(sealer.seal_once() for sealer in rivals))
    await seal_all(place.pool)
    await check_log(place.pool, 200)


async def a_duplicate_fails_nobody_else(place: Site) -> None:
    store, taken = PostgresEventStore(place.pool), append("s")
    await store.append(taken)
    forged = Append("x", [new(append("x", 2).events[1].data)], ANY)
    forged = Append("x", [type(e)(id=taken.events[0].id, data=e.data, origin=e.origin) for e in forged.events], ANY)
    results = await asyncio.gather(
        store.append(append("t")), store.append(forged), store.append(append("u")), return_exceptions=True
    )
    assert [type(result) for result in results] == [list, DuplicateEventError, list]


async def a_stream_may_be_named_twice_in_a_queue(place: Site) -> None:
    store = PostgresEventStore(place.pool)
    results = await asyncio.gather(*(store.append(append("s")) for _ in range(5)), return_exceptions=True)
    assert results == [[Appended(n, n)] for n in range(5)]


async def an_append_whose_answer_was_lost_is_there_once(place: Site) -> None:
    """The connection breaks after COMMIT and before the client hears of it."""
    network, path = LossyNetwork(place.socket), place.folder / ".s.PGSQL.5432"
    dsn = f"{place.dsn.partition('?')[0]}?host={quote(str(place.folder), safe='')}"
    async with network.listen(path), asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
        store = PostgresEventStore(pool)
        await store.append(append("before"))  # prepares the statement
        network.lose(b"SELECT 1\x00")
        (result,) = await asyncio.wait_for(store.append(append("s")), 20)
    assert network.lost == 1
    assert result == Appended(0, 0, duplicate=True)
    await seal_all(place.pool)
    await check_log(place.pool, 2)


def sql(made: Callable[[], Sql]) -> Callable[[pytest.MonkeyPatch], Sql]:
    return lambda _: made()


def patched(part: type[Any], name: str, value: Any) -> Callable[[pytest.MonkeyPatch], Sql]:
    def patch(monkeypatch: pytest.MonkeyPatch) -> Sql:
        monkeypatch.setattr(part, name, value)
        return schema.scripts()

    return patch


async def _give_up(_self: Any, _connection: Any, _batch: Any) -> None:
    error = sys.exception()
    assert error is not None
    raise error


def _take_all(self: Any) -> Any:
    turns = [[waiting] for waiting in self._waiting]
    self._waiting.clear()
    return turns


async def _try_once(self: Any, turns: Any) -> None:
    await self._flush(turns)


async def _recognise_nothing(_connection: Any, _append: Any) -> None:
    return None


def _no_recognition(monkeypatch: pytest.MonkeyPatch) -> Sql:
    monkeypatch.setattr("registry_core.store.appending._as_retry", _recognise_nothing)
    return schema.scripts()


TRAPS: Mapping[str, tuple[Callable[[Site], Awaitable[None]], Callable[[pytest.MonkeyPatch], Sql]]] = {
    "the snapshot is taken later than the rows": (
        what_commits_in_the_middle_of_a_pass_is_sealed,
        sql(lambda: without("040_seal.sql", "seen::pg_snapshot else", "pg_current_snapshot() else")),
    ),
    "a backlog is walked past its end": (
        a_backlog_sealed_in_parts_keeps_a_streams_order,
        sql(lambda: without("030_unsealed.sql", "and e.position <= state.backlog_to", "")),
    ),
    "the sequence is cached": (
        connections_that_take_turns_keep_a_streams_order,
        sql(lambda: with_more("010_log.sql", "alter sequence log.events_position_seq cache 50")),
    ),
    "xmin in place of the transaction's own id": (
        what_a_savepoint_wrote_is_sealed,
        sql(lambda: without("030_unsealed.sql", "e.xid", "e.xmin::text::xid8")),
    ),
    "order by transaction id": (
        a_transaction_older_than_its_turn_on_a_stream_keeps_the_order,
        sql(lambda: {**schema.scripts(), "030_unsealed.sql": (REJECTED / "xid_watermark.sql").read_text()}),
    ),
    "streams are locked in the caller's order": (
        overlapping_batches_in_any_order_do_not_deadlock,
        sql(lambda: without("020_append_batch.sql", 'order by a.s collate "C"', "order by a.o")),
    ),
    "no lock among sealers": (
        of_two_sealers_one_works,
        sql(lambda: without("040_seal.sql", "    lock table sealing in exclusive mode nowait;", "")),
    ),
    "a batch with a taken id is not sent again around it": (
        a_duplicate_fails_nobody_else,
        patched(Lane, "_flush_around_the_taken", _give_up),
    ),
    "a stream is named twice in one call": (a_stream_may_be_named_twice_in_a_queue, patched(Queue, "take", _take_all)),
    "a lost answer is not asked for again": (
        an_append_whose_answer_was_lost_is_there_once,
        patched(Lane, "_flush_through_failures", _try_once),
    ),
    "a retry is not recognised": (an_append_whose_answer_was_lost_is_there_once, _no_recognition),
}


@pytest.mark.parametrize("check", dict.fromkeys(check for check, _ in TRAPS.values()), ids=lambda c: c.__name__)
async def test_it_holds(check: Any, postgres_server: LocalPostgres, tmp_path: Path) -> None:
    async with site(postgres_server, tmp_path, schema.scripts()) as place:
        await check(place)


@pytest.mark.parametrize("trap", TRAPS)
async def test_without_its_remedy_it_does_not(
    trap: str, postgres_server: LocalPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, take_out = TRAPS[trap]
    async with site(postgres_server, tmp_path, take_out(monkeypatch)) as place:
        with pytest.raises((AssertionError, asyncpg.PostgresError, asyncpg.InterfaceError)):
            await check(place)


async def test_two_append_calls_in_one_transaction_can_deadlock(pool: Pool) -> None:
    """Why a unit of work makes one call: nobody can sort the streams of two."""
    async with pool.acquire() as one, pool.acquire() as other:
        ours, theirs = one.transaction(), other.transaction()
        await ours.start()
        await theirs.start()
        await append_batch(one, [append("a")])
        await append_batch(other, [append("b")])
        results = await asyncio.gather(
            append_batch(one, [append("b")]), append_batch(other, [append("a")]), return_exceptions=True
        )
        assert [type(r) for r in results if isinstance(r, Exception)] == [asyncpg.DeadlockDetectedError]
        await ours.rollback()
        await theirs.rollback()
