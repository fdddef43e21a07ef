"""Puts a backup back onto an empty database. The database's commit comes last and makes the restore whole."""

from pathlib import Path
from typing import Final

import asyncpg

from registry_core.backup import manifest
from registry_core.backup.artifacts import copy_back
from registry_core.backup.manifest import BackupError, Count, Manifest
from registry_core.backup.tools import load
from registry_core.objects import ObjectStorage
from registry_core.proofs.envelope import leaf_bytes
from registry_core.proofs.merkle import TreeHead, leaf_hash
from registry_core.store import schema
from registry_core.store.postgres import EVENT_COLUMNS, Connection, recorded

_BATCH: Final = 2000
_TABLES: Final = """
    select format('%s.%s', schemaname, tablename) from pg_tables
     where schemaname not in ('pg_catalog', 'information_schema') order by 1 limit 1"""


async def restore(
    folder: Path,
    dsn: str,
    *,
    artifacts: ObjectStorage | None = None,
    count: Count = lambda _: None,
) -> Manifest:
    """Restore onto an empty database (as its owner) and, where the backup has them, the artifacts into a store.

    First every file is compared with its digest; then the artifacts are copied, each compared with its name; then the
    database is written in one transaction. Killed before its end, it leaves the database empty, and can be run again.
    At last every sealed event is hashed and the root compared with the backup's. Raises BackupError.
    """
    found = manifest.read_manifest(folder)
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await _check_empty(connection)
        manifest.check_files(folder, found, count)
        if found.artifacts is not None and artifacts is not None:
            await copy_back(folder, artifacts, count)
        await load(folder / manifest.DUMP, dsn, count)
        await schema.install(dsn)  # roles and their rights, which are the cluster's and not the dump's
        await _check_log(connection, found)
    finally:
        await connection.close()
    return found


async def _check_empty(connection: Connection) -> None:
    if table := await connection.fetchval(_TABLES):
        raise BackupError(f"the database is not empty, it has {table}; restore onto a new one (createdb)")


async def _check_log(connection: Connection, expected: Manifest) -> None:
    """Hash every sealed event anew, in flat memory."""
    head = TreeHead()
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        rows = connection.cursor(
            f"""select s.log_index, {EVENT_COLUMNS} from log.sealed s join log.events e using (position)
                 order by s.log_index""", prefetch=_BATCH,
        )  # fmt: skip
        leaves = []
        async for row in rows:
            leaves.append(leaf_hash(leaf_bytes(recorded(row))))
            if len(leaves) == _BATCH:
                head, leaves = head.append(leaves)[0], []
    head, _ = head.append(leaves)
    if (head.size, head.root.hex()) != (expected.log.size, expected.log.root):
        raise BackupError(
            f"the restored log of {head.size} events is not the one of the backup's manifest: an event was changed "
            "before the backup was taken, or in it; `hallmark audit verify` says which"
        )
