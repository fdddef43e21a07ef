"""Takes a backup while everything runs."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import asyncpg

from registry_core.backup import manifest
from registry_core.backup.artifacts import copy_out
from registry_core.backup.keys import key_ids
from registry_core.backup.manifest import BackupError, Count, File, Log, Manifest
from registry_core.backup.tools import dump
from registry_core.local.folders import built_whole, remove_leftovers
from registry_core.objects import ObjectStorage
from registry_core.proofs.tiles import plan_head, rebuild_head
from registry_core.store.connections import Connection
from registry_core.store.tiles import read_entries


async def write_backup(
    folder: Path,
    dsn: str,
    now: datetime,
    *,
    artifacts: ObjectStorage | None,
    keys: Path | None = None,
    count: Count = lambda _: None,
) -> Manifest:
    """Back up the database (as its owner), and the artifacts if a store is given, into a new folder.

    `keys`: the installation's key folder, whose keys are named in the manifest and not copied. Services may go on
    working. The folder appears when everything in it is on disk. Raises BackupError, OSError.
    """
    if folder.exists():
        raise BackupError(f"{folder} exists already; name a new folder for each backup")
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    with built_whole(folder) as scratch:
        scratch.chmod(0o700)
        log, server, files = await _save_database(scratch, dsn, count)
        copied, damaged = await _save_artifacts(scratch, artifacts, files, count)
        made = Manifest(
            made_at=now, server=server, log=log, keys=key_ids(keys), artifacts=copied, damaged=damaged, files=files
        )
        (scratch / manifest.NAME).write_text(made.model_dump_json(indent=2) + "\n")
        await asyncio.to_thread(os.sync)
    return made


async def _save_database(folder: Path, dsn: str, count: Count) -> tuple[Log, str, dict[str, File]]:
    """The dump and the newest checkpoint, of one snapshot."""
    async with _snapshot(dsn) as (connection, snapshot):
        log = await _describe_log(connection)
        server = await connection.fetchval("show server_version")
        files = {manifest.DUMP: await dump(dsn, snapshot, folder / manifest.DUMP, count)}
        note = await connection.fetchval("select note from log.checkpoints order by size desc limit 1")
    if note is not None:
        (folder / manifest.CHECKPOINT).write_text(note)
        files[manifest.CHECKPOINT] = manifest.describe(folder / manifest.CHECKPOINT)
    return log, server, files


async def _save_artifacts(
    folder: Path, store: ObjectStorage | None, files: dict[str, File], count: Count
) -> tuple[int | None, tuple[str, ...]]:
    if store is None:
        return None, ()
    saved = await copy_out(folder, store, count)
    files[manifest.ARTIFACT_LIST] = manifest.describe(folder / manifest.ARTIFACT_LIST)
    return saved


@asynccontextmanager
async def _snapshot(dsn: str) -> AsyncIterator[tuple[Connection, str]]:
    """A snapshot that pg_dump can share, so that what is said of the log is said of the very log in the dump."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection, await connection.fetchval("select pg_export_snapshot()")
    finally:
        await connection.close()


async def _describe_log(connection: Connection) -> Log:
    try:
        events = await connection.fetchval("select count(*) from log.events")
        size = await connection.fetchval("select next_index from log.sealer_state")
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        raise BackupError("there is no log in this database; check its address") from None
    head = rebuild_head(size, await read_entries(connection, plan_head(size).reads))
    return Log(events=events, size=size, root=head.root.hex())
