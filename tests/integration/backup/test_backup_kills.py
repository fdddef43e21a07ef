"""A backup or restore that is killed at any moment: what is left never looks whole, and it can be run again."""

import asyncio
import signal
import sys
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from conftest import Database
from registry_core.backup import BackupError, restore, write_backup
from registry_core.local.postgres import LocalPostgres
from registry_core.objects import ObjectStorage
from registry_core.store.connections import Pool
from registry_core.store.postgres import PostgresEventStore
from support import NOW, until
from support_log import append, seal_all

_PROGRAM = """
import asyncio, os, signal, sys
from datetime import datetime, UTC
from pathlib import Path
from registry_core.backup import restore, tools, write_backup
from registry_core.objects import ObjectStorage

what, folder, dsn, objects, moment = sys.argv[1:]
tools._CHUNK = 1 << 13
left = int(moment)

def count(_):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

store = ObjectStorage.in_folder(Path(objects))
if what == "backup":
    asyncio.run(write_backup(Path(folder), dsn, datetime.now(UTC), artifacts=store, count=count))
else:
    asyncio.run(restore(Path(folder), dsn, artifacts=store, count=count))
"""


async def run(what: str, folder: Path, dsn: str, objects: Path, moment: int) -> int:
    """The exit code of a process that kills itself at the n-th step of its progress."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PROGRAM, what, str(folder), dsn, str(objects), str(moment)
    )
    return await process.wait()


@pytest.fixture
async def objects(database: Database, pool: Pool, tmp_path: Path) -> Path:
    """An installation with 200 events and 5 artifacts."""
    await PostgresEventStore(pool).append(*[append(f"s{n}", 4) for n in range(50)])
    await seal_all(pool)
    store = ObjectStorage.in_folder(tmp_path / "objects")
    for n in range(5):
        await store.put(b"artifact %d" % n)
    return tmp_path / "objects"


@pytest.mark.parametrize("moment", [1, 3, 8])
async def test_a_killed_backup_is_not_there(moment: int, database: Database, objects: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    assert await run("backup", folder, database.owner_dsn, objects, moment) == -signal.SIGKILL
    assert not folder.exists()
    assert len(list(tmp_path.glob(".backup-*"))) == 1
    await write_backup(folder, database.owner_dsn, NOW, artifacts=ObjectStorage.in_folder(objects))
    assert not list(tmp_path.glob(".backup-*")), "what the killed one left is cleared away"


@pytest.mark.parametrize("moment", [2, 5, 7, 9, 11])
async def test_a_killed_restore_leaves_the_database_empty(
    moment: int, database: Database, objects: Path, postgres_server: LocalPostgres, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    await write_backup(folder, database.owner_dsn, NOW, artifacts=ObjectStorage.in_folder(objects))
    dsn = await new_database(postgres_server)
    assert await run("restore", folder, dsn, tmp_path / "restored", moment) == -signal.SIGKILL
    connection = await asyncpg.connect(dsn)
    try:
        await until(lambda: alone(connection))
        assert await connection.fetchval("select to_regnamespace('log')") is None
    finally:
        await connection.close()
    found = await restore(folder, dsn, artifacts=ObjectStorage.in_folder(tmp_path / "restored"))
    assert (found.log.events, found.artifacts) == (200, 5)


async def test_a_restore_whose_connection_is_ended_says_so_and_leaves_nothing(
    database: Database, objects: Path, postgres_server: LocalPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry_core.backup.tools._CHUNK", 1 << 13)
    folder = tmp_path / "backup"
    await write_backup(folder, database.owner_dsn, NOW, artifacts=None)
    dsn = await new_database(postgres_server)
    admin = await asyncpg.connect(dsn)
    steps = 0

    def end_its_backend(_: int) -> None:
        nonlocal steps
        steps += 1
        if steps == 5:
            ending.append(asyncio.create_task(end_backends(admin)))

    ending: list[asyncio.Task[None]] = []
    try:
        with pytest.raises(BackupError, match="psql failed"):
            await restore(folder, dsn, count=end_its_backend)
        assert await admin.fetchval("select to_regnamespace('log')") is None
    finally:
        await admin.close()


async def end_backends(admin: asyncpg.Connection) -> None:
    await until(
        lambda: admin.fetchval("""
            select count(pg_terminate_backend(pid)) from pg_stat_activity
             where datname = current_database() and application_name = 'psql'""")
    )


async def new_database(server: LocalPostgres) -> str:
    name = f"r{uuid4().hex[:12]}"
    await server.database(name)
    return server.dsn_of(name, role="postgres")


async def alone(connection: asyncpg.Connection) -> bool:
    """Whether the backends of the killed process have ended."""
    others: int = await connection.fetchval(
        "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    )
    return others == 0
