"""Recovery to a moment with PostgreSQL's own tools, and what a witness says of it (docs/backup.md)."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from hallmark_ledger.checkpoints import Checkpointer
from hallmark_ledger.keys import KeyFolder
from hallmark_ledger.packs import Packer
from hallmark_ledger.witnessing import Witnesses
from registry_core.local.postgres import OWNER, SUPERUSER, LocalPostgres, postgres
from registry_core.local.postgres_layout import lay_out, wheel_binaries
from registry_core.objects import ObjectStorage
from registry_core.proofs.pack import Report, verify_pack
from registry_core.settings import Settings
from registry_core.store import schema
from registry_core.store.connections import Pool
from registry_core.store.postgres import PostgresEventStore
from support import NOW, until
from support_ledger import refused, stands_still, started
from support_log import append, check_log, seal_all

ORIGIN = "example.org/log"
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that the account which root's PostgreSQL runs as can enter."""
    with tempfile.TemporaryDirectory(prefix="hallmark-pitr-", ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o711)
        yield Path(name)


@pytest.fixture
def keys(tmp_path: Path) -> KeyFolder:
    return KeyFolder(tmp_path, ORIGIN)


@asynccontextmanager
async def connected(server: LocalPostgres) -> AsyncIterator[Pool]:
    async with asyncpg.create_pool(server.dsn_of(OWNER, role=SUPERUSER), min_size=1, max_size=4) as pool:
        yield pool


async def write(pool: Pool, count: int) -> None:
    for n in range(count):
        await PostgresEventStore(pool).append(append(f"s{n % 3}"))
        await seal_all(pool)


async def sign(pool: Pool, keys: KeyFolder) -> str:
    """A checkpoint for a witness."""
    note = await Checkpointer(pool, keys, 1.0, Witnesses([])).sign()
    assert note
    return note


async def verify(pool: Pool, keys: KeyFolder, folder: Path, held: str) -> Report:
    """An export of the log, held against a witness's checkpoint."""
    signing = Checkpointer(pool, keys, 1.0, Witnesses([]))
    packer = Packer(pool, ObjectStorage.in_folder(folder / "objects"), signing)
    with (folder / "log.hallmark").open("wb") as file:
        await packer.write_export(file, NOW)
    with (folder / "log.hallmark").open("rb") as file:
        return verify_pack(file, [(await signing.keys()).current.vkey], held)


async def archive_to(server: LocalPostgres, folder: Path) -> None:
    """Continuous archiving: each finished WAL segment is copied there."""
    async with connected(server) as pool:
        await pool.execute("alter system set archive_mode = on")
        await pool.execute(f"alter system set archive_command = 'test ! -f {folder}/%f && cp %p {folder}/%f'")
    rules = server.data_dir / "hba.conf"
    await server.restart()
    rules.write_text(rules.read_text() + "local replication all peer map=hallmark\n")
    async with connected(server) as pool:
        await pool.execute("select pg_reload_conf()")


async def run(tool: str, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(wheel_binaries() / tool, *arguments)
    assert await process.wait() == 0


async def base_backup(server: LocalPostgres, folder: Path) -> None:
    await run("pg_basebackup", "-D", str(folder), "-d", server.admin_dsn, "--checkpoint=fast")
    await run("pg_verifybackup", "-q", str(folder))


async def archived(pool: Pool) -> None:
    """Everything written until now is in the archive."""
    segment = await pool.fetchval("select pg_walfile_name(pg_switch_wal())")
    await until(lambda: pool.fetchval("select last_archived_wal >= $1 from pg_stat_archiver", segment))


def prepare_recovery(base: Path, target: Path, archive: Path, moment: str) -> None:
    """A data folder whose server recovers to the moment when it starts."""
    layout = lay_out(target)
    shutil.copytree(base, layout.cluster)
    layout.cluster.chmod(0o700)
    with (layout.cluster / "postgresql.auto.conf").open("a") as settings:
        settings.write(
            f"archive_mode = off\nrestore_command = 'cp {archive}/%f %p'\n"
            f"recovery_target_time = '{moment}'\nrecovery_target_action = promote\n"
        )
    (layout.cluster / "recovery.signal").touch()
    for path in (layout.cluster, *layout.cluster.rglob("*")):
        layout.give(path)


async def a_ledger_refuses(server: LocalPostgres, folder: Path, held: str) -> int:
    """It starts on the recovered log of 20 events with a witness that holds 30; how many events wait unsealed then."""
    (folder / "kept").mkdir()
    (folder / "kept" / f"{30:012d}.note").write_text(held)
    (folder / "var" / "keys").mkdir(parents=True, mode=0o700)
    shutil.copy(folder / "ledger.pem", folder / "var" / "keys")
    settings = Settings(
        data_dir=folder / "var",
        postgres_dsn=server.dsn_of(OWNER, role="hallmark_service"),
        postgres_ledger_dsn=server.dsn_of(OWNER, role="hallmark_ledger"),
        checkpoint_origin=ORIGIN,
        witnesses=(folder / "kept").as_uri(),
    )
    async with started(settings) as (platform, client):
        assert "of 30 events, this log has 20: its tail was cut off" in await refused(client)
        await stands_still(platform, client, 20)
        waiting: int = await platform.pool.fetchval("select count(*) - 20 from log.events")
        return waiting


async def test_a_log_recovered_to_a_moment_goes_on_and_a_newer_witness_tells_what_is_gone(
    place: Path, keys: KeyFolder, tmp_path: Path
) -> None:
    archive = place / "archive"
    archive.mkdir()
    async with postgres(place / "source", durable=False) as server:
        lay_out(place / "source").give(archive)
        await archive_to(server, archive)
        await schema.install(server.dsn_of(OWNER, role=SUPERUSER))
        async with connected(server) as pool:
            await write(pool, 12)
            older = await sign(pool, keys)
            await base_backup(server, place / "base")
            await write(pool, 8)
            moment = await pool.fetchval("select clock_timestamp()::text")
            await write(pool, 10)
            newer = await sign(pool, keys)
            await archived(pool)
    prepare_recovery(place / "base", place / "recovered", archive, moment)
    async with postgres(place / "recovered", durable=False) as server, connected(server) as pool:
        await until(lambda: pool.fetchval("select not pg_is_in_recovery()"), 60)
        await check_log(pool, 20)
        report = await verify(pool, keys, tmp_path, older)
        assert report.ok, report.problems
        report = await verify(pool, keys, tmp_path, newer)
        assert [problem.message for problem in report.problems] == [
            "you hold a checkpoint of 30 events, the pack has 20: its tail was cut off"
        ]
        waiting = await a_ledger_refuses(server, tmp_path, newer)
        await write(pool, 15)  # by a sealer that asks nobody
        await check_log(pool, 35 + waiting)
        assert (await verify(pool, keys, tmp_path, older)).ok
        report = await verify(pool, keys, tmp_path, newer)
        assert "the log was rewritten" in report.problems[0].message, "what took the place of lost events is a fork"
