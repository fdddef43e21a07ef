"""`hallmark source` against a running server: connected, tried, sent to, looked at, replayed, rotated, disconnected."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from hallmark.cli import app
from registry_core.settings import Settings
from support import served, token_of, until
from support_sources import SECRET, github, release
from typer.testing import CliRunner


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the real account."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


async def hallmark(url: str, token: str, *arguments: str, code: int = 0, **options: Any) -> str:
    environment = {"HALLMARK_URL": url, "HALLMARK_TOKEN": token}
    result = await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=environment, **options)
    assert result.exit_code == code, result.output
    return result.output


async def test_a_source_from_its_connection_to_its_end(settings: Settings) -> None:
    alone = settings.model_copy(update={"kafka_bootstrap": "", "public_url": "https://hallmark.example"})
    async with served(alone, ["ledger", "ingestion", "lifecycle"]) as (platform, url):
        token = await token_of(platform, "root", "admin")

        async def run(*arguments: str, **options: Any) -> str:
            return await hallmark(url, token, *arguments, **options)

        await run("account", "create", "hooks-feed", "--service", "--role", "contributor")
        connect = ("source", "connect", "hooks", "--kind", "github", "--account", "hooks-feed", "--secret-file", "-")
        shown = await run(*connect, input=SECRET)
        assert "https://hallmark.example/v1/sources/hooks/deliveries" in shown
        assert SECRET in shown
        assert SECRET not in await run("source", "show", "hooks")
        assert "Nothing came of it" in await run("source", "test", "hooks")

        sent, bad = release(), github("release", {"action": "published"}, secret="another-secret-here")
        async with httpx.AsyncClient(base_url=url) as outside:
            where = "/v1/sources/hooks/deliveries"
            accepted = await outside.post(where, content=sent.body, headers=dict(sent.headers))
            assert accepted.status_code == 202
            assert (await outside.post(where, content=bad.body, headers=dict(bad.headers))).status_code == 401

        async def taken() -> list[dict[str, Any]]:
            found = json.loads(await run("source", "deliveries", "hooks", "--outcome", "taken", "--json"))
            return list(found)

        (delivery,) = await until(taken)
        assert delivery["told"] == ["code:widget@1.2.3 is registered"]
        assert "widget.whl" in await run("source", "delivery", delivery["id"])
        await run("source", "replay", delivery["id"])
        (again,) = await until(taken)
        assert again["replays"] == 1
        assert "does not fit" in await run("source", "deliveries", "hooks", "--outcome", "refused")
        (row,) = json.loads(await run("source", "list", "--json"))
        assert row["deliveries"] == {"refused": 1, "taken": 1}

        body = Path(alone.data_dir) / "body"
        body.write_bytes(bad.body)
        headers = [part for name, value in bad.headers.items() for part in ("--header", f"{name}: {value}")]
        told = await run("source", "test", "hooks", "--body", str(body), *headers, code=1)
        assert "the source has another secret" in told
        assert "not shown again" in await run("source", "rotate", "hooks", "--grace", "0")
        await run("source", "disconnect", "hooks", "--reason", "moved")
        assert "disconnected" in await run("source", "list")
