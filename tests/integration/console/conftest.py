"""A console over real PostgreSQL and real HTTP."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from registry_core.settings import Settings
from support import NOW
from support_console import Console, add_account, console, seed
from support_portfolio import portfolio


@pytest.fixture
def console_settings(database: Any, tmp_path: Path) -> Settings:
    return Settings(
        port=0, data_dir=tmp_path / "var", postgres_dsn=database.service_dsn, postgres_owner_dsn=database.owner_dsn
    )


@pytest.fixture
async def served(console_settings: Settings) -> AsyncIterator[Console]:
    async with console(console_settings) as running:
        yield running


@dataclass(frozen=True, slots=True)
class Seeded:
    """A console with a portfolio in it, and a viewer signed in."""

    console: Console
    token: str
    last: int
    """Log index of the portfolio's last event."""
    http: httpx.AsyncClient


@pytest.fixture
async def seeded(served: Console) -> AsyncIterator[Seeded]:
    token = await add_account(served.platform, "maria", "viewer")
    last = await seed(served.platform, portfolio(NOW))
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=served.url, headers=headers, timeout=30) as http:
        for view in ("version_overview", "version_timeline", "review_queue", "findings"):
            answer = await http.get(f"/v1/views/{view}", params={"at_least": last, "timeout": 30, "limit": 1})
            assert answer.status_code == 200, answer.text
        yield Seeded(served, token, last, http)
