"""Append-only, proven through the services' own connections."""

from hashlib import sha256
from uuid import uuid4

import asyncpg
import pytest
from registry_core.events.versions import VersionAdded
from registry_core.store import ANY, Append
from registry_core.store.appending import batch_arguments
from registry_core.store.connections import Pool
from registry_core.store.postgres import PostgresEventStore
from registry_core.store.sealer import Sealer
from support import new

TABLES = (
    *("events", "sealed", "checkpoints", "cosignatures", "streams"),
    *("sealer_state", "tiles", "partition_heads", "topics"),
)
FUNCTIONS = {
    "hallmark_service": {"append_batch", "unsealed", "streams_at", "tree_entries"},
    "hallmark_ledger": {
        "add_topics",
        "seal",
        "rewind_sealer_after_restore",
        "lock_checkpoints",
        "add_checkpoint",
        "add_cosignature",
        "tree_entries",
    },
    "hallmark_reader": set[str](),
}
INSERT = (
    "insert into log.events (stream_id, version, event_id, type, body_sha256, actor, occurred_at, correlation_id) "
    "values ('s', 9, gen_random_uuid(), 'x', '', 'me', now(), gen_random_uuid())"
)
CHANGES = [
    INSERT,
    "update log.events set type = 'x'",
    "update log.sealed set position = 1",
    "update log.sealer_state set next_index = 0",
    "update log.streams set version = 7",
    "insert into log.sealed values (9, 9, 1, 0, -1, '')",
    "insert into log.checkpoints values (9, '', '')",
    "insert into log.cosignatures values (9, '', '')",
    "insert into log.tiles values (1, 9, '')",
    *(f"delete from log.{table}" for table in TABLES),
    *(f"truncate log.{table} cascade" for table in TABLES),
    *(f"alter table log.{table} disable trigger all" for table in TABLES),
    *(f"alter table log.{table} owner to current_user" for table in TABLES),
    *(f"drop table log.{table} cascade" for table in TABLES),
    *(f"select 1 from log.{table} for update" for table in TABLES),
    "do $$ begin lock table log.sealing in row exclusive mode; end $$",
    "drop trigger append_only on log.events",
    "alter table log.events drop constraint occurred_in_four_digits",
    "alter sequence log.events_position_seq restart with 1",
    "select setval('log.events_position_seq', 1)",
    "set session_replication_role = replica",
    "set role hallmark",
    "set role postgres",
    "set session authorization postgres",
    "create function log.now() returns int language sql as 'select 1'",
    "create or replace function log.refuse_change() returns trigger language plpgsql as 'begin return null; end'",
    "create table log.t (n int)",
    "create trigger t before insert on log.events for each row execute function log.refuse_change()",
    "create rule r as on insert to log.events do instead nothing",
    "alter function log.append_batch reset search_path",
    "drop schema log cascade",
    "create extension file_fdw",
    "copy log.events from program 'true'",
    "alter role current_user superuser",
    "alter system set fsync = off",
]
ONLY_THE_LEDGER = [
    "select log.add_topics('{t}')",
    "select log.seal(1, 1, '{}', 0)",
    "select log.grow_tree(0, '', '{}')",
    "select log.add_checkpoint(1, '', '')",
    "select log.add_cosignature(1, '', '')",
    "select log.rewind_sealer_after_restore()",
    "select log.lock_checkpoints()",
    "lock table log.checkpoints in share row exclusive mode",
]

APPEND = "select * from log.append_batch($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13)"


def append(stream: str = "s") -> Append:
    return Append(stream, [new(VersionAdded(ref="model:m@1.0.0", digest="sha256:" + "0" * 64))], ANY)


@pytest.fixture
async def filled(pool: Pool, ledger_pool: Pool) -> None:
    """Something in every table."""
    await PostgresEventStore(pool).append(*(append(f"s{n}") for n in range(300)))
    await Sealer(ledger_pool, 4).seal_once()
    await ledger_pool.execute("select log.add_checkpoint(300, '', '')")
    await ledger_pool.execute("select log.add_cosignature(300, '', '')")


@pytest.fixture(params=["hallmark_service", "hallmark_ledger"])
def connection(request: pytest.FixtureRequest, pool: Pool, ledger_pool: Pool) -> Pool:
    return pool if request.param == "hallmark_service" else ledger_pool


async def contents(owner: asyncpg.Connection) -> list[list[asyncpg.Record]]:
    return [await owner.fetch(f"select * from log.{table} order by 1, 2") for table in TABLES]


@pytest.mark.usefixtures("filled")
async def test_neither_role_can_change_remove_or_replace_anything_of_the_log(
    connection: Pool, owner: asyncpg.Connection
) -> None:
    before = await contents(owner)
    for statement in CHANGES:
        try:
            await connection.execute(statement)
        except asyncpg.InsufficientPrivilegeError:
            continue
        pytest.fail(f"allowed: {statement}")
    assert await contents(owner) == before


@pytest.mark.parametrize("statement", ONLY_THE_LEDGER)
async def test_a_service_can_neither_seal_nor_add_a_checkpoint(pool: Pool, statement: str) -> None:
    async with pool.acquire() as connection, connection.transaction():
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


async def test_the_ledger_cannot_append(ledger_pool: Pool) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append_batch"):
        await PostgresEventStore(ledger_pool).append(append())


@pytest.mark.parametrize("role", FUNCTIONS)
async def test_each_role_may_execute_exactly_its_functions_and_belongs_to_no_other(
    owner: asyncpg.Connection, role: str
) -> None:
    rows = await owner.fetch(
        """select proname from pg_proc
            where pronamespace = 'log'::regnamespace and has_function_privilege($1, oid, 'execute')""",
        role,
    )
    assert {row["proname"] for row in rows} == FUNCTIONS[role]
    belongs = "select count(*) from pg_auth_members where member = $1::text::regrole"
    assert await owner.fetchval(belongs, role) == 0
    powers = "select rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls from pg_roles"
    assert not await owner.fetchval(f"{powers} where rolname = $1", role)


@pytest.mark.parametrize("role", FUNCTIONS)
async def test_no_role_has_a_right_to_write_on_a_table_of_the_log(owner: asyncpg.Connection, role: str) -> None:
    """Of all tables there are, also those that a later release adds."""
    rows = await owner.fetch(
        """select relname, privilege from pg_class, unnest(array['insert', 'update', 'delete', 'truncate', 'trigger',
                  'references']) privilege
            where relnamespace = 'log'::regnamespace and relkind in ('r', 'p', 'v')
              and has_table_privilege($1, pg_class.oid, privilege)""",
        role,
    )
    assert rows == []
    assert not await owner.fetchval("select has_schema_privilege($1, 'log', 'create')", role)


async def test_every_function_with_its_owners_rights_has_a_pinned_search_path(owner: asyncpg.Connection) -> None:
    rows = await owner.fetch(
        "select proname, proconfig from pg_proc where pronamespace = 'log'::regnamespace and prosecdef"
    )
    assert {"append_batch", "seal", "add_checkpoint"} <= {row["proname"] for row in rows}
    assert {(row["proconfig"] or ("none",))[0] for row in rows} == {"search_path=log, pg_temp"}


async def test_temporary_objects_and_a_search_path_shadow_nothing(pool: Pool) -> None:
    async with pool.acquire() as connection:
        await connection.execute("set search_path = pg_temp, log")
        for table in ("events", "streams"):
            await connection.execute(f"create temporary table {table} (like log.{table})")
        await connection.execute(
            "create function pg_temp.cardinality(anyarray) returns int language sql as 'select 1 / 0'"
        )
        await connection.fetch(APPEND, *batch_arguments([append()]))
        assert await connection.fetchval("select count(*) from pg_temp.events") == 0
        assert await connection.fetchval("select count(*) from log.events") == 1


async def test_the_database_itself_makes_the_digest_of_a_body(pool: Pool) -> None:
    arguments = list(batch_arguments([append()]))
    arguments[7] = [b"{}"]
    await pool.fetch(APPEND, *arguments)
    assert await pool.fetchval("select body_sha256 from log.events") == sha256(b"{}").digest()
    arguments[5], arguments[7] = [uuid4()], [None]
    with pytest.raises(asyncpg.NotNullViolationError):
        await pool.fetch(APPEND, *arguments)


@pytest.mark.parametrize("table", ["events", "sealed", "checkpoints", "cosignatures"])
@pytest.mark.parametrize("change", ["update log.{} set {} = {}", "delete from log.{}", "truncate log.{}"])
@pytest.mark.usefixtures("filled")
async def test_even_the_owner_is_stopped_by_the_trigger(owner: asyncpg.Connection, table: str, change: str) -> None:
    column = {"events": "position", "sealed": "log_index"}.get(table, "size")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await owner.execute(change.format(table, column, column))
