"""Backup and restore of an installation: whole or not at all, and the log goes on where it stopped."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from conftest import Database
from hallmark_ledger.checkpoints import Checkpointer
from hallmark_ledger.keys import KeyFolder
from hallmark_ledger.packs import Packer
from hallmark_ledger.witnessing import Witnesses
from registry_core.backup import BackupError, Manifest, put_keys_back, restore, save_keys, write_backup
from registry_core.local.postgres import LocalPostgres, temporary_postgres
from registry_core.objects import ObjectStorage
from registry_core.proofs.keys import load_or_generate_key
from registry_core.proofs.note import Signer
from registry_core.proofs.pack import Report, verify_pack
from registry_core.store import schema
from registry_core.store.connections import Pool
from registry_core.store.postgres import PostgresEventStore
from registry_core.store.sealer import Sealer
from support import NOW, until
from support_ledger import empty_database
from support_log import append, burn_transaction_ids, check_log, seal_all, without

ORIGIN = "example.org/log"


@pytest.fixture
def store(tmp_path: Path) -> ObjectStorage:
    return ObjectStorage.in_folder(tmp_path / "objects")


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    (tmp_path / "keys").mkdir(mode=0o700)
    return Signer(ORIGIN, load_or_generate_key(tmp_path / "keys" / "ledger.pem"))


@dataclass(frozen=True, slots=True)
class Backup:
    folder: Path
    manifest: Manifest
    events: int


def checkpointer(pool: Pool, folder: Path) -> Checkpointer:
    return Checkpointer(pool, KeyFolder(folder / "keys", ORIGIN), 1.0, Witnesses([]))


@pytest.fixture
async def backup(
    *, database: Database, pool: Pool, owner: asyncpg.Connection, store: ObjectStorage, signer: Signer, tmp_path: Path
) -> Backup:
    """Of 40 sealed and signed events, 3 that are not sealed, two artifacts; transaction ids are high."""
    await burn_transaction_ids(owner, 20_000)
    await PostgresEventStore(pool).append(*[append(f"s{n % 10}-{n}") for n in range(40)])
    await seal_all(pool)
    await checkpointer(pool, tmp_path).sign()
    await PostgresEventStore(pool).append(*[append(f"late{n}") for n in range(3)])
    for content in (b"one", b"two"):
        await store.put(content)
    await owner.execute("update work.relay set next_index = 17")
    folder = tmp_path / "backup"
    made = await write_backup(folder, database.owner_dsn, NOW, artifacts=store, keys=tmp_path / "keys")
    return Backup(folder, made, 43)


@pytest.fixture(scope="module")
async def young_server() -> AsyncIterator[LocalPostgres]:
    """Another cluster, whose transaction ids have only begun."""
    async with temporary_postgres() as server:
        yield server


async def goes_on(pool: Pool, backup: Backup, seconds: float = 10) -> None:
    """A ledger starts on the restored log and three more events come in: nothing is missing and nothing is twice."""
    await PostgresEventStore(pool).append(*[append(f"new{n}") for n in range(3)])
    sealer = Sealer(pool, partitions=4)
    running = asyncio.create_task(sealer.run())
    with suppress(TimeoutError):  # the check tells what is missing
        await until(lambda: pool.fetchval("select next_index = $1 from log.sealer_state", backup.events + 3), seconds)
    running.cancel()
    await check_log(pool, backup.events + 3)


async def export(pool: Pool, store: ObjectStorage, signer: Signer, path: Path, held: str | None) -> Report:
    packer = Packer(pool, store, checkpointer(pool, path.parent))
    with path.open("wb") as file:
        await packer.write_export(file, NOW)
    with path.open("rb") as file:
        return verify_pack(file, [signer.vkey], held)


async def test_a_restored_log_goes_on_and_extends_the_backups_checkpoint(
    backup: Backup, young_server: LocalPostgres, signer: Signer, tmp_path: Path
) -> None:
    restored = ObjectStorage.in_folder(tmp_path / "restored objects")
    async with empty_database(young_server) as (dsn, pool):
        await restore(backup.folder, dsn, artifacts=restored)
        assert await pool.fetchval("select next_index from work.relay") == 17
        await goes_on(pool, backup)
        held = (backup.folder / "checkpoint.note").read_text()
        report = await export(pool, restored, signer, tmp_path / "log.hallmark", held)
    assert report.ok, report.problems
    assert report.events == backup.events + 3
    assert {digest async for digest in restored.digests()} == {
        digest async for digest in ObjectStorage.in_folder(tmp_path / "objects").digests()
    }


async def test_without_looking_at_every_row_once_new_events_are_lost_after_a_restore(
    backup: Backup, young_server: LocalPostgres
) -> None:
    """The trap itself: a real dump from a cluster with high transaction ids, restored into one with low ids."""
    broken = without("040_seal.sql", "where sealer_state.system_identifier <> c.system_identifier", "where false")
    async with empty_database(young_server) as (dsn, pool):
        await restore(backup.folder, dsn)
        await schema.install(dsn, broken)
        with pytest.raises(AssertionError, match="never sealed"):
            await goes_on(pool, backup, seconds=1)


async def looked_at(pool: Pool) -> int:
    """Pages that a pass of the sealer looks at when there is nothing to seal."""
    plan = await pool.fetchval("explain (analyze, buffers, format json) select * from log.unsealed(10)")
    pages: int = json.loads(plan)[0]["Plan"]["Shared Hit Blocks"] + json.loads(plan)[0]["Plan"]["Shared Read Blocks"]
    return pages


@pytest.mark.parametrize("bounded", [True, False])
async def test_an_idle_sealer_does_not_look_at_every_restored_row_again_and_again(
    *,
    bounded: bool,
    database: Database,
    pool: Pool,
    owner: asyncpg.Connection,
    young_server: LocalPostgres,
    tmp_path: Path,
) -> None:
    """Restored rows have higher transaction ids than the new cluster hands out for a long time."""
    await burn_transaction_ids(owner, 20_000)
    await PostgresEventStore(pool).append(*[append(f"s{n}", 10) for n in range(300)])
    await seal_all(pool)
    await write_backup(tmp_path / "backup", database.owner_dsn, NOW, artifacts=None)
    upper = " and e.xid < pg_snapshot_xmax(pg_current_snapshot())"
    async with empty_database(young_server) as (dsn, restored):
        await restore(tmp_path / "backup", dsn)
        await schema.install(dsn, schema.scripts() if bounded else without("030_unsealed.sql", upper, ""))
        await restored.execute("select log.rewind_sealer_after_restore()")
        await PostgresEventStore(restored).append(append("new"))
        await seal_all(restored)
        assert (await looked_at(restored) < 100) == bounded


async def test_a_backup_is_of_one_moment_while_writing_goes_on(
    database: Database, pool: Pool, ledger_pool: Pool, postgres_server: LocalPostgres, tmp_path: Path
) -> None:
    store, sealer, stop = PostgresEventStore(pool), Sealer(ledger_pool, 4), asyncio.Event()

    async def write() -> None:
        while not stop.is_set():
            await store.append(append(f"s{uuid4()}", 3))
            await sealer.seal_once()

    await store.append(append("first"))
    writing = asyncio.create_task(write())
    made = await write_backup(tmp_path / "backup", database.owner_dsn, NOW, artifacts=None)
    stop.set()
    await writing
    assert made.log.events < await pool.fetchval("select count(*) from log.events")
    async with empty_database(postgres_server) as (dsn, restored):
        await restore(tmp_path / "backup", dsn)  # hashes all of it and compares with the manifest's root
        assert await restored.fetchval("select count(*) from log.events") == made.log.events


async def test_a_database_that_is_not_empty_is_left_alone(backup: Backup, database: Database, pool: Pool) -> None:
    with pytest.raises(BackupError, match=r"not empty, it has log\."):
        await restore(backup.folder, database.owner_dsn)
    assert await pool.fetchval("select count(*) from log.events") == backup.events


@pytest.mark.parametrize("name", ["database.dump", "checkpoint.note", "artifacts.txt"])
@pytest.mark.parametrize("harm", ["flipped", "cut", "gone"])
async def test_a_damaged_backup_is_refused_and_the_file_named(
    name: str, harm: str, backup: Backup, postgres_server: LocalPostgres
) -> None:
    damage(backup.folder / name, harm)
    async with empty_database(postgres_server) as (dsn, pool):
        with pytest.raises(BackupError, match=name):
            await restore(backup.folder, dsn, artifacts=None)
        assert await pool.fetchval("select to_regnamespace('log')") is None


@pytest.mark.parametrize("harm", ["flipped", "cut", "gone"])
async def test_a_damaged_artifact_is_refused_and_named(
    harm: str, backup: Backup, postgres_server: LocalPostgres, tmp_path: Path
) -> None:
    path = sorted((backup.folder / "artifacts").rglob("*/*/*"))[0]
    damage(path, harm)
    async with empty_database(postgres_server) as (dsn, pool):
        with pytest.raises(BackupError, match=path.name):
            await restore(backup.folder, dsn, artifacts=ObjectStorage.in_folder(tmp_path / "restored objects"))
        assert await pool.fetchval("select to_regnamespace('log')") is None


def damage(path: Path, harm: str) -> None:
    content = path.read_bytes()
    match harm:
        case "flipped":
            path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        case "cut":
            path.write_bytes(content[:-1])
        case "gone":
            path.unlink()


async def test_persons_erased_after_the_backup_stay_erased(
    database: Database, owner: asyncpg.Connection, postgres_server: LocalPostgres, tmp_path: Path
) -> None:
    """Their keys are in the dump, and are deleted in the transaction that restores it."""
    await owner.execute("""
        create schema if not exists privacy;
        create table if not exists privacy.subjects (
          lookup bytea primary key, pseudonym text not null unique, wrapped_key bytea);
        insert into privacy.subjects values ('a', 'p-0001', 'key'), ('b', 'p-0002', 'key'), ('c', 'p-0003', 'key')""")
    await write_backup(tmp_path / "backup", database.owner_dsn, NOW, artifacts=None)
    async with empty_database(postgres_server) as (dsn, pool):
        with pytest.raises(BackupError, match="no pseudonym"):
            await restore(tmp_path / "backup", dsn, erased=["p-0001", "'); drop schema log cascade; --"])
        assert await pool.fetchval("select to_regnamespace('log')") is None
        await restore(tmp_path / "backup", dsn, erased=["p-0001", "p-0003", "p-unknown"])
        assert [row["pseudonym"] for row in await pool.fetch("select pseudonym from privacy.subjects")] == ["p-0002"]


async def test_a_log_changed_before_its_backup_does_not_restore_as_whole(
    database: Database, pool: Pool, owner: asyncpg.Connection, postgres_server: LocalPostgres, tmp_path: Path
) -> None:
    await PostgresEventStore(pool).append(append("s", 3))
    await seal_all(pool)
    await owner.execute("alter table log.events disable trigger user")
    await owner.execute("update log.events set actor = 'mallory' where version = 1")
    await write_backup(tmp_path / "backup", database.owner_dsn, NOW, artifacts=None)
    async with empty_database(postgres_server) as (dsn, _):
        with pytest.raises(BackupError, match="an event was changed"):
            await restore(tmp_path / "backup", dsn)


async def test_an_artifact_damaged_in_its_store_is_told_and_the_backup_made(
    database: Database, store: ObjectStorage, tmp_path: Path
) -> None:
    good, bad = await store.put(b"good"), await store.put(b"bad")
    damage(tmp_path / "objects" / ObjectStorage.path_of(bad), "flipped")
    made = await write_backup(tmp_path / "backup", database.owner_dsn, NOW, artifacts=store)
    assert (made.artifacts, made.damaged) == (1, (bad,))
    assert (tmp_path / "backup" / "artifacts.txt").read_text() == f"{good} 4\n"


async def test_keys_are_saved_apart_and_put_back(backup: Backup, tmp_path: Path) -> None:
    assert not list(backup.folder.rglob("*.pem"))
    assert save_keys(tmp_path / "keys", tmp_path / "safe") == ["ledger"]
    assert [oct(path.stat().st_mode & 0o777) for path in (tmp_path / "safe" / "ledger.pem", tmp_path / "safe")] == [
        "0o600",
        "0o700",
    ]
    assert put_keys_back(tmp_path / "safe", tmp_path / "new" / "keys", backup.manifest) == ["ledger"]
    put_keys_back(tmp_path / "safe", tmp_path / "new" / "keys", backup.manifest)  # again does no harm
    key = tmp_path / "new" / "keys" / "ledger.pem"
    assert key.read_bytes() == (tmp_path / "keys" / "ledger.pem").read_bytes()
    key.unlink()
    load_or_generate_key(key)
    with pytest.raises(BackupError, match="is not the key"):
        put_keys_back(tmp_path / "safe", tmp_path / "new" / "keys", backup.manifest)
