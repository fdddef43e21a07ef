"""PostgreSQL's own programs: pg_dump and pg_restore, of the wheel or installed beside it."""

import asyncio
import hashlib
import os
import shutil
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from registry_core.backup.manifest import BackupError, Count, File
from registry_core.local.errors import LocalStackError

_CHUNK: Final = 1 << 20
_LAST_WORDS: Final = 2000


def tool(name: str) -> str:
    """The path of a client program. Raises BackupError where there is none."""
    with suppress(LocalStackError, ImportError):
        from registry_core.local.postgres_layout import wheel_binaries  # noqa: PLC0415 - an extra of its own

        if (path := wheel_binaries() / name).exists():
            return str(path)
    if found := shutil.which(name):
        return found
    raise BackupError(f"there is no {name} here; install registry-core[local], or PostgreSQL's client programs")


async def dump(dsn: str, snapshot: str, path: Path, count: Count) -> File:
    """Write all of the database as of an exported snapshot. Raises BackupError."""
    arguments = ("--format=custom", "--compress=1", "--lock-wait-timeout=60s", f"--snapshot={snapshot}")
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        async with _running("pg_dump", dsn, *arguments) as process:
            assert process.stdout is not None
            while chunk := await process.stdout.read(_CHUNK):
                await asyncio.to_thread(file.write, chunk)
                digest.update(chunk)
                size += len(chunk)
                count(len(chunk))
    return File(bytes=size, sha256=digest.hexdigest())


async def load(path: Path, dsn: str, count: Count) -> None:
    """Restore a dump in one transaction: whoever is killed on the way leaves nothing. Raises BackupError."""
    arguments = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
    async with _running("pg_restore", dsn, *arguments) as process:
        assert process.stdin is not None
        with path.open("rb") as file, suppress(BrokenPipeError, ConnectionResetError):  # its exit code tells why
            while chunk := await asyncio.to_thread(file.read, _CHUNK):
                process.stdin.write(chunk)
                await process.stdin.drain()
                count(len(chunk))
        process.stdin.close()


@asynccontextmanager
async def _running(name: str, dsn: str, *arguments: str) -> AsyncIterator[Process]:
    """The program on a database, to its end; killed when its user gives up."""
    address, environment = _address(dsn)
    process = await asyncio.create_subprocess_exec(
        tool(name), f"--dbname={address}", *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment
    )
    assert process.stderr is not None
    errors = asyncio.create_task(process.stderr.read())
    try:
        yield process
        code, told = await process.wait(), (await errors).decode(errors="replace").strip()
    finally:
        errors.cancel()
        with suppress(ProcessLookupError):
            process.kill()
    if code:
        raise BackupError(f"{name} failed: {told[-_LAST_WORDS:] or f'exit code {code}'}")


def _address(dsn: str) -> tuple[str, dict[str, str]]:
    """The address without its password, which other accounts could read in a command line, and the environment."""
    parts = urlsplit(dsn)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    if parts.password is not None:
        environment["PGPASSWORD"] = unquote(parts.password)
        user, _, place = parts.netloc.rpartition("@")
        parts = parts._replace(netloc=f"{user.partition(':')[0]}@{place}")
    return urlunsplit(parts), environment
