"""Where workloads run: a durable PostgreSQL from the wheel, databases in it, a folder, a seed, the peers' Python."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
from registry_core.local.postgres import LocalPostgres, postgres
from registry_core.store import schema
from registry_core.store.connections import Pool, open_pool

ROOT = Path(__file__).parent
OUT = ROOT / "out"
PEERS = ROOT.parent / ".bench" / "bin" / "python"
"""The Python with the packages that only references need; `make bench` installs it from bench/requirements.lock."""
SEED = 20261128


@dataclass(frozen=True, slots=True)
class Database:
    """A database and its addresses: as superuser, as the services connect, and as the ledger does."""

    name: str
    owner_dsn: str
    service_dsn: str
    ledger_dsn: str


@dataclass(frozen=True, slots=True)
class Place:
    """What a workload is given."""

    server: LocalPostgres
    folder: Path
    """Scratch, removed at the end of the run."""
    seed: int = SEED
    """Of every random generator, so that two runs do the same work."""

    @asynccontextmanager
    async def database(self, template: str | None = None) -> AsyncIterator[Database]:
        """An empty database with Hallmark's schema, or a copy of one there is; dropped at the end."""
        made = self.named(f"b{uuid4().hex[:12]}")
        await self._administer(f"create database {made.name} template {template or 'template1'}")
        try:
            await schema.install(made.owner_dsn)
            yield made
        finally:
            await self._administer(f"drop database if exists {made.name} with (force)")

    def named(self, name: str) -> Database:
        """The addresses of a database there is."""
        roles = ("postgres", "hallmark_service", "hallmark_ledger")
        return Database(name, *(self.server.dsn_of(name, role=role) for role in roles))

    async def _administer(self, statement: str) -> None:
        connection = await asyncpg.connect(self.server.admin_dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def drop_leftovers(self) -> None:
        """The databases of a run that was killed."""
        connection = await asyncpg.connect(self.server.admin_dsn)
        try:
            for row in await connection.fetch("select datname from pg_database where datname ~ '^b[0-9a-f]{12}$'"):
                await connection.execute(f"drop database {row['datname']} with (force)")
        finally:
            await connection.close()

    async def checkpoint(self) -> None:
        """Have PostgreSQL write what is due, so that one side does not pay for the other's work."""
        await self._administer("checkpoint")

    async def peer(self, module: str, **arguments: Any) -> Any:
        """Run `python -m <module> <JSON arguments>` with the references' packages; what it prints last, as JSON.

        Raises RuntimeError with its last words when it fails.
        """
        if not PEERS.exists():
            raise RuntimeError("the references' packages are missing: run this with `make bench`")
        printed = await run_program(str(PEERS), "-m", module, json.dumps(arguments))
        return json.loads(printed.strip().rpartition("\n")[2])


async def run_program(*argv: str) -> str:
    """What a program prints. Raises RuntimeError with its last words when it fails."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdout=pipe, stderr=pipe, cwd=ROOT.parent)
    out, err = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(argv)[:200]} failed:\n{(err or out).decode()[-2000:]}")
    return out.decode()


@asynccontextmanager
async def place(folder: Path) -> AsyncIterator[Place]:
    """Start the server; its data stays in bench/out, so that filled databases need not be made again."""
    OUT.mkdir(exist_ok=True)
    async with postgres(OUT / "postgres") as server:
        here = Place(server, folder)
        await here.drop_leftovers()
        yield here


@asynccontextmanager
async def pool_of(database: Database, size: int = 4) -> AsyncIterator[Pool]:
    """A pool as the services have it."""
    async with await open_pool(database.service_dsn, min_size=1, max_size=size) as pool:
        yield pool


@asynccontextmanager
async def ledger_pool_of(database: Database) -> AsyncIterator[Pool]:
    """A pool as the ledger has it, to seal with."""
    async with await open_pool(database.ledger_dsn, min_size=1, max_size=3) as pool:
        yield pool
