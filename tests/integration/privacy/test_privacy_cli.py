"""`hallmark privacy` as an administrator and the database's owner run it, against a running server."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hallmark.cli import app
from hallmark_ingestion.accounts import identify_accounts
from integration.privacy.conftest import given_plain
from registry_core.service import Platform
from registry_core.settings import Settings
from support import served, token_of
from typer.testing import CliRunner


@dataclass(frozen=True)
class Shell:
    """Commands with the environment that `hallmark` needs."""

    platform: Platform
    environment: dict[str, str]

    async def __call__(self, *arguments: str) -> Any:
        """The JSON that a command prints."""
        result = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--json"], env=self.environment)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
async def shell(settings: Settings, tmp_path: Path) -> AsyncIterator[Shell]:
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with served(alone, ["ledger", "ingestion"]) as (platform, url):
        yield Shell(
            platform,
            {
                "HALLMARK_URL": url,
                "HALLMARK_TOKEN": await token_of(platform, "root", "admin", "auditor"),
                "HALLMARK_POSTGRES_OWNER_DSN": settings.postgres_owner_dsn.get_secret_value(),
                "XDG_CONFIG_HOME": str(tmp_path),
            },
        )


async def test_a_person_is_shown_erased_and_scrubbed_while_the_server_runs_and_the_log_still_verifies(
    shell: Shell, owner: asyncpg.Connection, name: str
) -> None:
    """One account from before names were sealed, whose body only the owner can take away."""
    await given_plain(shell.platform, "old-1", name)
    await identify_accounts(shell.platform)
    assert [account["account"] for account in (await shell("privacy", "show", name))["accounts"]] == ["old-1"]
    erased = await shell("privacy", "erase", name, "--reason", "ticket 7", "--yes")
    assert await told_by(owner, name), "the plain event is the owner's to take away"

    assert await shell("privacy", "scrub") == {"bodies_erased": len(erased["bodies"])} == {"bodies_erased": 1}
    assert await shell("privacy", "scrub") == {"bodies_erased": 0}

    assert not await told_by(owner, name)
    report = await shell("audit", "verify", "--live")
    assert (report["ok"], report["erased"]) == (True, 1)


async def told_by(owner: asyncpg.Connection, name: str) -> bool:
    """Whether any event still says the name."""
    found: bool = await owner.fetchval(
        "select exists (select from log.events where position(convert_to($1, 'UTF8') in body) > 0)", name
    )
    return found


@pytest.mark.parametrize("dsn", ["postgresql://postgres@127.0.0.1:1/nowhere", ""])
def test_a_scrub_that_does_not_reach_the_database_says_what_it_needs(dsn: str, tmp_path: Path) -> None:
    environment = {"HALLMARK_POSTGRES_OWNER_DSN": dsn, "XDG_CONFIG_HOME": str(tmp_path)}
    result = CliRunner().invoke(app, ["privacy", "scrub", "--data", str(tmp_path)], env=environment)
    assert result.exit_code not in (0, None)
    assert "hallmark up" in result.output
