"""Backups of the installation that the settings name, or of this machine's. Needs the server's packages."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from registry_core.backup import (
    BackupError,
    Manifest,
    put_keys_back,
    read_manifest,
    restore,
    save_keys,
    write_backup,
)
from registry_core.objects import ObjectStorage
from registry_core.settings import Settings

Count = Callable[[int], None]


def run_backup(folder: Path, keys: Path | None, data: Path | None, count: Count) -> Manifest:
    """Raises BackupError, OSError, LocalStackError."""
    settings = settings_with(data)
    return asyncio.run(_backup(settings, folder, keys, count))


async def _backup(settings: Settings, folder: Path, keys: Path | None, count: Count) -> Manifest:
    own = settings.data_dir / "keys"
    if keys:
        save_keys(own, keys)
    async with owner_dsn(settings) as dsn:
        store = _folder_store(settings)
        return await write_backup(folder, dsn, datetime.now(UTC), artifacts=store, keys=own, count=count)


def run_restore(folder: Path, keys: Path | None, erased: Path | None, data: Path | None, count: Count) -> Manifest:
    """Raises BackupError, OSError, LocalStackError."""
    pseudonyms = erased.read_text().split() if erased else []
    return asyncio.run(_restore(settings_with(data), folder, keys, pseudonyms, count))


async def _restore(
    settings: Settings, folder: Path, keys: Path | None, erased: Sequence[str], count: Count
) -> Manifest:
    found = read_manifest(folder)
    if keys:
        put_keys_back(keys, settings.data_dir / "keys", found)
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with owner_dsn(settings, new=True) as dsn:
        return await restore(folder, dsn, artifacts=_folder_store(settings), erased=erased, count=count)


def settings_with(data: Path | None) -> Settings:
    """The settings, with this data folder if one is given."""
    settings = Settings()
    return settings.model_copy(update={"data_dir": data}) if data else settings


def _folder_store(settings: Settings) -> ObjectStorage | None:
    """A folder of artifacts is copied; a store of its own (S3) has copies of its own."""
    in_folder = settings.objects_url.startswith("file:") or not settings.objects_url
    return ObjectStorage.open(settings) if in_folder else None


@asynccontextmanager
async def owner_dsn(settings: Settings, *, new: bool = False) -> AsyncIterator[str]:
    """The database as its owner: the one that is named, else the local one, running or started for this."""
    if owner := settings.postgres_owner_dsn.get_secret_value():
        yield owner
    elif settings.postgres_dsn.get_secret_value():
        raise BackupError("no owner of the database is named; set HALLMARK_POSTGRES_OWNER_DSN")
    else:
        async with _local(settings.data_dir, new=new) as dsn:
            yield dsn


@asynccontextmanager
async def _local(data: Path, *, new: bool) -> AsyncIterator[str]:
    from registry_core.local.postgres import OWNER, SUPERUSER, postgres  # noqa: PLC0415 - an extra of its own
    from registry_core.local.stack import running_dsn  # noqa: PLC0415 - as above

    if not new and await _answers(dsn := running_dsn(data, SUPERUSER)):
        yield dsn
        return
    async with postgres(data / "postgres") as server:
        yield server.dsn_of(OWNER, role=SUPERUSER)


async def _answers(dsn: str) -> bool:
    try:
        connection = await asyncpg.connect(dsn, timeout=5)
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    await connection.close()
    return True
