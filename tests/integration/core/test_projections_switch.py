"""A projection is rebuilt beside the one that is shown, and the view is switched to it: nobody who reads notices."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import asyncpg
import pytest
from conftest import Database
from registry_core.problems import Problem
from registry_core.projections import Builder, commands, follower, live, projector, table, wait_projected
from registry_core.projections.live import LiveTables
from registry_core.store import schema
from registry_core.store.connections import Pool
from support import until
from support_projections import OTHER, TALLY, WIDER, Log, Watcher, a_log


@pytest.fixture
async def log(pool: Pool, database: Database) -> AsyncIterator[Log]:
    async with a_log(pool, database.owner_dsn, database.service_dsn) as made:
        yield made


@pytest.fixture
def reader_dsn(database: Database) -> str:
    return database.owner_dsn.replace("postgres@", "hallmark_reader@", 1)


async def columns(pool: Pool) -> list[str]:
    rows = await pool.fetch(
        "select attname from pg_attribute where attrelid = 'views.tally'::regclass and attnum > 0 order by attnum"
    )
    return [row["attname"] for row in rows]


async def test_a_new_version_shows_once_it_has_caught_up_and_the_old_one_until_then(log: Log) -> None:
    await log.install(TALLY)
    log.run(TALLY)
    await log.amend(200)
    await log.caught_up()
    before = await log.view()
    await log.stop()
    await log.install(TALLY, WIDER)
    assert await columns(log.pool) == ["key", "log_index", "amended", "owner"]
    assert await log.view() == before
    log.run(WIDER)
    await log.shows("tally__v2")
    assert await columns(log.pool) == ["key", "log_index", "amended", "owner", "last_actor"]
    assert await log.view() == await log.folded(WIDER)


async def test_the_old_version_goes_on_moving_while_both_are_run(log: Log) -> None:
    await log.install(TALLY)
    await log.amend(100)
    await log.install(TALLY, WIDER)
    log.run(TALLY)
    await log.caught_up()
    assert await log.view() == await log.folded(TALLY)
    assert (await log.tables())["tally__v2"].log_index == -1


async def test_columns_can_go_and_grants_stay(log: Log, owner: asyncpg.Connection, reader_dsn: str) -> None:
    await log.install(TALLY)
    await owner.execute("create role dashboards; grant select on views.tally to dashboards")
    try:
        await log.amend(10)
        await log.install(OTHER)
        log.run(OTHER)
        await log.shows("tally__v3")
        reader = await asyncpg.connect(reader_dsn)
        assert await reader.fetchval("select amended from views.tally limit 1") == "1"
        await reader.close()
        assert await owner.fetchval("select has_table_privilege('dashboards', 'views.tally', 'select')")
        assert await columns(log.pool) == ["key", "log_index", "amended"]
    finally:
        await owner.execute("drop owned by dashboards; drop role dashboards")


async def test_readers_see_no_failure_and_no_step_back_while_it_is_rebuilt_and_switched(
    log: Log, reader_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "CHUNK_EVENTS", 700)
    await log.install(TALLY, WIDER)
    log.run(TALLY, WIDER)
    await log.amend(2000)
    await log.shows("tally__v2")
    watchers = [Watcher(reader_dsn) for _ in range(3)]
    stop = asyncio.Event()

    async def write() -> None:
        while not stop.is_set():
            await log.amend(40)

    writing = asyncio.create_task(write())
    for generation in (2, 3, 4):
        await commands.rebuild(log.pool, "tally", switch=True)
        await log.shows(f"tally__v2_g{generation}")
    await log.install(OTHER)  # another set of columns
    log.run(OTHER)
    await log.shows("tally__v3")
    stop.set()
    await writing
    await log.caught_up(OTHER)
    for watcher in watchers:
        await watcher.stop()
    assert [watcher.failed for watcher in watchers] == [[], [], []]
    assert [watcher.backwards for watcher in watchers] == [[], [], []]
    assert min(watcher.reads for watcher in watchers) > 50
    assert await log.view() == await log.folded(OTHER)


async def test_a_rebuild_waits_to_be_switched_to_and_stays_up_to_date_meanwhile(log: Log) -> None:
    await log.install(TALLY)
    log.run(TALLY)
    await log.amend(100)
    asked = await commands.rebuild(log.pool, "tally", switch=False)
    assert (asked.table, asked.state, asked.log_index) == ("tally__v1_g2", "building", -1)

    async def ready_and_current() -> bool:
        table = (await log.tables())["tally__v1_g2"]
        return table.state == "ready" and table.lag == 0

    await until(ready_and_current)
    await log.amend(100)
    await until(ready_and_current)
    assert (await log.live()).table == "tally__v1"
    await commands.switch(log.pool, "tally")
    await log.shows("tally__v1_g2")
    assert await log.view() == await log.folded(TALLY)


async def test_one_can_switch_back_and_loses_nothing(log: Log) -> None:
    await log.install(TALLY)
    log.run(TALLY)
    await log.amend(100)
    await commands.rebuild(log.pool, "tally", switch=True)
    await log.shows("tally__v1_g2")
    await log.amend(100)  # of which the table kept knows nothing
    await commands.switch(log.pool, "tally")
    await log.shows("tally__v1")
    assert await log.view() == await log.folded(TALLY)
    assert (await log.tables())["tally__v1_g2"].state == "kept"


async def test_a_request_sent_again_changes_nothing(log: Log) -> None:
    """A client that got no answer sends its switch again: that must not switch back."""
    await log.install(TALLY)
    log.run(TALLY)
    await log.amend(20)
    rebuilding, switching = uuid4(), uuid4()
    for _ in range(2):
        asked = await commands.rebuild(log.pool, "tally", switch=False, request=rebuilding)
        assert asked.table == "tally__v1_g2"
    await commands.switch(log.pool, "tally", request=switching)
    await log.shows("tally__v1_g2")
    assert (await commands.switch(log.pool, "tally", request=switching)).state == "live"
    assert {t.table: t.state for t in (await log.tables()).values()} == {"tally__v1_g2": "live", "tally__v1": "kept"}


async def test_one_table_is_kept_and_older_ones_go(log: Log, owner: asyncpg.Connection) -> None:
    await log.install(TALLY)
    log.run(TALLY)
    await log.amend(20)
    for generation in (2, 3):
        await commands.rebuild(log.pool, "tally", switch=True)
        await log.shows(f"tally__v1_g{generation}")

    async def left() -> bool:
        return sorted(await log.tables()) == ["tally__v1_g2", "tally__v1_g3"]

    await until(left)
    found = await owner.fetch(
        "select relname from pg_class where relnamespace = 'projection'::regnamespace and relkind = 'r'"
    )
    assert {row["relname"] for row in found} == {"tally__v1_g2", "tally__v1_g3"}


async def test_a_rebuilt_table_has_the_indexes_of_the_first(log: Log, owner: asyncpg.Connection) -> None:
    await log.install(TALLY)
    log.run(TALLY)
    await log.amend(20)
    await commands.rebuild(log.pool, "tally", switch=True)
    await log.shows("tally__v1_g2")
    await log.install(TALLY)  # an upgrade finds them there
    found = await owner.fetch("select indexname from pg_indexes where tablename = 'tally__v1_g2'")
    assert {row["indexname"] for row in found} == {
        "tally__v1_g2_pkey", "tally__v1_g2_by_log_index", "tally__v1_g2_by_owner",
    }  # fmt: skip


async def test_who_waits_for_a_write_is_answered_by_the_table_that_is_shown_by_then(log: Log) -> None:
    await log.install(TALLY)
    log.run(TALLY)
    await log.amend(10)
    await log.caught_up()
    await log.stop()  # nobody follows version 1 from here on
    head = await log.amend(10)
    waiting = asyncio.create_task(wait_projected(log.pool, log.notifier, TALLY, head, 30))
    await log.install(WIDER)
    log.run(WIDER)
    assert await waiting
    assert (await log.live()).table == "tally__v2"


async def test_a_reader_who_holds_the_view_delays_the_switch_and_fails_nobody(log: Log, reader_dsn: str) -> None:
    await log.install(TALLY)
    log.run(TALLY)
    await log.amend(100)
    holder, watcher = await asyncpg.connect(reader_dsn), Watcher(reader_dsn)
    async with holder.transaction():
        await holder.fetch("select * from views.tally")
        await commands.rebuild(log.pool, "tally", switch=True)

        async def refused() -> bool:
            """The switch waits for the view's lock, and then gives up for now."""
            return bool(
                await log.pool.fetchval(
                    "select true from pg_locks where mode = 'AccessExclusiveLock' and not granted limit 1"
                )
            )

        await until(refused)
        assert (await log.live()).table == "tally__v1"
    await holder.close()
    await log.shows("tally__v1_g2")
    await watcher.stop()
    assert (watcher.failed, watcher.backwards) == ([], [])
    assert watcher.reads


async def test_two_processes_build_one_table_between_them(
    log: Log, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "CHUNK_EVENTS", 100)
    await log.install(TALLY)
    await log.amend(3000, streams=700)
    await log.install(WIDER)
    async with asyncpg.create_pool(database.service_dsn, min_size=1, max_size=4) as other:
        log.run(TALLY, WIDER)
        log.run(TALLY, WIDER, pool=other)
        await log.shows("tally__v2")
        await log.amend(500, streams=700)
        await log.caught_up()
        assert await log.view() == await log.folded(WIDER)
        await log.stop()


async def test_one_connection_less_than_wished_for_is_enough(log: Log, database: Database) -> None:
    await log.install(TALLY)
    await log.amend(6000)
    async with asyncpg.create_pool(database.service_dsn, min_size=1, max_size=1) as narrow:
        built = Builder(TALLY, narrow)
        await commands.rebuild(log.pool, "tally", switch=False)
        while await built.build():
            pass
    assert (await log.tables())["tally__v1_g2"].lag == 0


async def test_memory_is_bounded_by_what_is_kept_of_rows_not_by_the_log(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "KEPT_BYTES", 10_000)
    monkeypatch.setattr(follower, "CHUNK_EVENTS", 400)
    await log.install(TALLY)
    for _ in range(3):
        await log.amend(1500, streams=700)  # every stream comes back after its row was let go
    await commands.rebuild(log.pool, "tally", switch=True)
    built, most = Builder(TALLY, log.pool), 0
    while await built.build():
        most = max(most, built.kept_bytes)
    assert 5_000 < most <= 10_000
    assert await log.view() == await log.folded(TALLY)


BUILDER = """
import asyncio, sys
import asyncpg
from registry_core.notifier import Notifier
from registry_core.projections import Projector, follower, reading
from support_projections import TALLY
follower.CHUNK_EVENTS = reading.WINDOW = 50
async def main():
    async with asyncpg.create_pool(sys.argv[1], min_size=1, max_size=4) as pool:
        await Projector([TALLY], pool, Notifier(sys.argv[1])).run()
asyncio.run(main())
"""


async def test_a_rebuild_killed_midway_goes_on_where_it_was(log: Log, database: Database) -> None:
    await log.install(TALLY)
    head = await log.amend(6000, streams=600)
    log.run(TALLY)
    await log.caught_up()
    await log.stop()
    await commands.rebuild(log.pool, "tally", switch=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BUILDER, database.service_dsn, env={"PYTHONPATH": ":".join(sys.path)}
    )

    async def begun() -> bool:
        return (await log.tables())["tally__v1_g2"].log_index > 100

    await until(begun)
    process.kill()
    await process.wait()

    async def let_go() -> bool:
        """The server has noticed that the process is gone."""
        return not await log.pool.fetchval(
            "select count(*) from pg_locks l join pg_class c on c.oid = l.relation where c.relname = 'tally__v1_g2'"
        )

    await until(let_go)
    left = (await log.tables())["tally__v1_g2"]
    assert 100 < left.log_index < head
    assert (await log.live()).table == "tally__v1"
    log.run(TALLY)
    await log.shows("tally__v1_g2")
    assert await log.view() == await log.folded(TALLY)


async def test_one_killed_between_build_and_switch_is_switched_by_the_next(log: Log) -> None:
    await log.install(TALLY)
    log.run(TALLY)
    await log.amend(300)
    await log.caught_up()
    await log.stop()
    await commands.rebuild(log.pool, "tally", switch=True)
    dying = Builder(TALLY, log.pool)
    while (await log.tables())["tally__v1_g2"].state != "ready":
        assert await dying.build()
    await log.amend(300)
    assert (await log.live()).table == "tally__v1"
    log.run(TALLY)
    await log.shows("tally__v1_g2")
    assert await log.view() == await log.folded(TALLY)


async def test_a_switch_that_is_undone_leaves_everything_as_it_was(
    log: Log, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.install(TALLY)
    log.run(TALLY)
    await log.amend(300)
    await log.caught_up()
    await log.stop()
    before = await log.view()
    transaction = owner.transaction()
    await transaction.start()
    await owner.execute("select work.add_generation('tally', 1, true)")
    await owner.execute("select work.switch_view('tally__v1_g2')")
    assert await owner.fetchval("select count(*) from views.tally") == 0
    await transaction.rollback()
    assert await log.view() == before
    assert sorted(await log.tables()) == ["tally__v1"]


async def test_a_table_that_cannot_be_built_is_told_of_and_stands_in_nobodys_way(log: Log) -> None:
    broken = replace(TALLY, version=4, columns="amended integer check (amended < 2), owner text")
    await log.install(TALLY)
    await log.amend(200)
    await log.install(broken)
    log.run(TALLY, broken)

    async def told() -> bool:
        return "check constraint" in ((await log.tables())["tally__v4"].problem or "")

    await until(told)
    await log.amend(50)
    await log.caught_up()
    assert await log.view() == await log.folded(TALLY)


async def test_what_cannot_be_done_says_what_to_do_first(log: Log) -> None:
    await log.install(TALLY)
    with pytest.raises(Problem, match="no other table") as nothing:
        await commands.switch(log.pool, "tally")
    assert "rebuild tally" in nothing.value.fix
    await commands.rebuild(log.pool, "tally", switch=False)
    with pytest.raises(Problem, match="building already") as twice:
        await commands.rebuild(log.pool, "tally", switch=False)
    assert twice.value.fix
    with pytest.raises(Problem, match=r"what views\.tally shows"):
        await commands.drop(log.pool, "tally", "tally__v1")
    with pytest.raises(Problem, match="not known"):
        await commands.switch(log.pool, "tally", "pg_class")
    with pytest.raises(Problem, match="not known"):
        await commands.rebuild(log.pool, "nothing", switch=False)
    await commands.drop(log.pool, "tally", "tally__v1_g2")
    assert sorted(await log.tables()) == ["tally__v1"]


@pytest.mark.parametrize("table", ["streams", "pg_class", 'x"; drop schema log cascade; --'])
async def test_the_owners_functions_touch_tables_of_projections_alone(log: Log, table: str) -> None:
    """Whoever has the services' role may write into work.projections, and gets no further with that."""
    await log.install(TALLY)
    await log.pool.execute(
        "insert into work.projections (name, log_index, projection, version) values ($1, -1, 'events', 1)", table
    )
    with pytest.raises(asyncpg.UndefinedTableError):
        await log.pool.execute("select work.switch_view($1)", table)
    with pytest.raises(asyncpg.UndefinedTableError):
        await log.pool.execute("select work.add_generation('events', 1, true)")
    await log.pool.execute("select work.drop_generation($1)", table)  # of which there is none: only the row goes
    assert await log.pool.fetchval("select count(*) from log.streams") == 0
    for mine in ("drop view views.tally", "drop table projection.tally__v1", "create table projection.x ()"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await log.pool.execute(mine)


async def test_a_database_of_the_former_release_is_taken_over(
    log: Log, owner: asyncpg.Connection, database: Database
) -> None:
    await log.install(TALLY)
    log.run(TALLY)
    await log.amend(30)
    await log.caught_up()
    await log.stop()
    await owner.execute(
        """alter table work.projections drop column projection, drop column version, drop column generation,
             drop column state, drop column switch_when_ready, drop column begun_at, drop column ready_at,
             drop column live_since, drop column problem, drop column request;
           insert into work.projections values ('tally__v0', 7)"""
    )
    await schema.install(database.owner_dsn)
    states = {name: (table.version, table.state) for name, table in (await log.tables()).items()}
    assert states == {"tally__v1": (1, "live"), "tally__v0": (0, "kept")}
    await log.install(TALLY)
    assert await log.view() == await log.folded(TALLY)


async def test_a_table_far_behind_holds_up_no_other(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """A projection that is new to a long log is brought up by itself, in transactions of its own."""
    for module in (follower, live, projector):
        monkeypatch.setattr(module, "FAR", 100)
    late = replace(TALLY, name="late")
    await log.install(TALLY)
    log.run(TALLY)
    head = await log.amend(300)
    await log.caught_up()
    await log.install(late)
    shown = LiveTables([TALLY, late], log.pool)
    await log.stop()
    await log.amend(50)
    assert await shown.advance() == 50
    assert (await log.live("late")).log_index == -1
    assert (await log.live("tally")).log_index == head + 50
    log.run(TALLY, late)
    await log.caught_up(late)
    assert await log.folded(late) == await log.view("late")


async def test_tables_that_are_shown_move_in_one_transaction(log: Log) -> None:
    other = replace(TALLY, name="other")
    await log.install(TALLY, other)
    head = await log.amend(300)
    assert await LiveTables([TALLY, other], log.pool).advance() == 300
    seen = {(row["log_index"], row["xmin"]) for row in await log.pool.fetch("select *, xmin from work.projections")}
    assert len(seen) == 1
    assert {index for index, _ in seen} == {head}
    assert await log.view("other") == await log.folded(other)
