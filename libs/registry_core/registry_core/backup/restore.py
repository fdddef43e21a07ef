"""Puts a backup back onto an empty database. The database's commit comes last and makes the restore whole."""

import re
from collections.abc import Sequence
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
from registry_core.store.connections import Connection
from registry_core.store.postgres import EVENT_COLUMNS, recorded

_BATCH: Final = 2000
_PSEUDONYM: Final = re.compile(r"[\w-]{1,100}", re.ASCII)
_TABLES: Final = """
    select format('%s.%s', schemaname, tablename) from pg_tables
     where schemaname not in ('pg_catalog', 'information_schema') order by 1 limit 1"""


async def restore(
    folder: Path,
    dsn: str,
    *,
    artifacts: ObjectStorage | None = None,
    erased: Sequence[str] = (),
    count: Count = lambda _: None,
) -> Manifest:
    """Restore onto an empty database (as its owner) and, where the backup has them, the artifacts into a store.

    First every file is compared with its digest; then the artifacts are copied, each compared with its name; then the
    database is written in one transaction. Killed before its end, it leaves the database empty, and can be run again.
    At last every sealed event is hashed and the root compared with the backup's. Raises BackupError.

    `erased`: pseudonyms of persons who were erased after the backup was taken. Their keys do not come back: they are
    deleted in the very transaction that restores the rest.
    """
    found, more = manifest.read_manifest(folder), _forget(erased) + _rights()
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await _check_empty(connection)
        manifest.check_files(folder, found, count)
        if found.artifacts is not None and artifacts is not None:
            await copy_back(folder, artifacts, count)
        await load(folder / manifest.DUMP, dsn, more, count)
        await _check_log(connection, found)
    finally:
        await connection.close()
    return found


def _rights() -> str:
    """The schema as of this version, with the roles, which are the cluster's and not the dump's, and their rights."""
    return "\n".join(schema.scripts().values())


def _forget(pseudonyms: Sequence[str]) -> str:
    """SQL that deletes the keys of erased persons."""
    if strange := [text for text in pseudonyms if not _PSEUDONYM.fullmatch(text)]:
        raise BackupError(f"{strange[0]!r} is no pseudonym; the list of erased persons has one on each line")
    if not pseudonyms:
        return ""
    return f"delete from privacy.subjects where pseudonym = any('{{{','.join(pseudonyms)}}}');\n"


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
