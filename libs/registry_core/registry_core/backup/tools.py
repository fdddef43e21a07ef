"""PostgreSQL's own programs: pg_dump, pg_restore and psql, of the wheel or installed beside it."""

import asyncio
import hashlib
import os
import shutil
from asyncio import StreamWriter
from asyncio.subprocess import DEVNULL, PIPE, Process
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


async def load(path: Path, dsn: str, more: str, count: Count) -> None:
    """Restore a dump and run more SQL, all in one transaction: whoever is killed on the way leaves nothing.

    The transaction is opened and committed here and not by psql's option, which commits at the end of its input,
    wherever that is. Raises BackupError.
    """
    async with _running("psql", dsn, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1") as database:
        sql = _pipe(database.stdin)
        sql.write(b"begin;\n")
        async with _running("pg_restore", None, "--file=-", "--no-owner", "--no-privileges") as script:
            await asyncio.gather(_feed(path, _pipe(script.stdin), count), _copy(script, sql))
        sql.write(f"{more}\ncommit;\n".encode())
        sql.close()


def _pipe(pipe: StreamWriter | None) -> StreamWriter:
    assert pipe is not None
    return pipe


async def _feed(path: Path, pipe: StreamWriter, count: Count) -> None:
    with path.open("rb") as file, suppress(BrokenPipeError, ConnectionResetError):  # its exit code tells why
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            pipe.write(chunk)
            await pipe.drain()
            count(len(chunk))
    pipe.close()


async def _copy(source: Process, pipe: StreamWriter) -> None:
    assert source.stdout is not None
    while chunk := await source.stdout.read(_CHUNK):
        with suppress(BrokenPipeError, ConnectionResetError):  # as above
            pipe.write(chunk)
            await pipe.drain()


@asynccontextmanager
async def _running(name: str, dsn: str | None, *arguments: str) -> AsyncIterator[Process]:
    """The program, on a database if one is given, to its end; killed when its user gives up."""
    address, environment = _address(dsn or "")
    database = () if dsn is None else (f"--dbname={address}",)
    process = await asyncio.create_subprocess_exec(
        tool(name), *database, *arguments, stdin=PIPE, stdout=DEVNULL if name == "psql" else PIPE, stderr=PIPE,
        env=environment,
    )  # fmt: skip
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
