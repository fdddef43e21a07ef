"""A console over real PostgreSQL and real HTTP."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import pytest
from registry_core.local.postgres import LocalPostgres
from registry_core.settings import Settings
from registry_core.store import schema
from support import NOW
from support_console import Console, add_account, console, seed
from support_portfolio import portfolio


async def settings_of_a_new_database(server: LocalPostgres, folder: Path) -> Settings:
    name = f"t{uuid4().hex[:12]}"
    await server.database(name)
    owner = server.dsn_of(name, role="postgres")
    await schema.install(owner)
    service, ledger = (server.dsn_of(name, role=role) for role in ("hallmark_service", "hallmark_ledger"))
    return Settings(port=0, data_dir=folder, postgres_dsn=service, postgres_ledger_dsn=ledger, postgres_owner_dsn=owner)


@pytest.fixture
async def console_settings(postgres_server: LocalPostgres, tmp_path: Path) -> Settings:
    return await settings_of_a_new_database(postgres_server, tmp_path)


@pytest.fixture
async def served(console_settings: Settings) -> AsyncIterator[Console]:
    """A console over an empty log."""
    async with console(console_settings) as running:
        yield running


@dataclass(frozen=True, slots=True)
class Seeded:
    """A console with a portfolio in it, and a viewer who is signed in."""

    console: Console
    token: str
    http: httpx.AsyncClient


@pytest.fixture(scope="module")
async def seeded(postgres_server: LocalPostgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seeded]:
    """One for all tests of a module: they add to the log, and count on nothing that another one adds."""
    settings = await settings_of_a_new_database(postgres_server, tmp_path_factory.mktemp("console"))
    async with console(settings) as running:
        token = await add_account(running.platform, "maria", "viewer")
        last = await seed(running.platform, portfolio(NOW))
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=running.url, headers=headers, timeout=30) as http:
            for view in ("version_overview", "version_timeline", "review_queue", "findings"):
                answer = await http.get(f"/v1/views/{view}", params={"at_least": last, "timeout": 30, "limit": 1})
                assert answer.status_code == 200, answer.text
            yield Seeded(running, token, http)


@pytest.fixture
async def owner(seeded: Seeded) -> AsyncIterator[asyncpg.Connection]:
    """An owner's connection to the seeded database."""
    connection = await asyncpg.connect(seeded.console.platform.settings.postgres_owner_dsn.get_secret_value())
    yield connection
    await connection.close()
