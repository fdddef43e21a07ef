"""The local stack runs what the settings do not name; `migrate` and `doctor` reach what they do."""

import json
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from hallmark.cli import app
from registry_core.local.postgres import LocalPostgres
from registry_core.local.stack import local_stack
from registry_core.settings import Settings
from typer.testing import CliRunner, Result


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the real account."""
    for name in ("HALLMARK_URL", "HALLMARK_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


async def test_what_the_settings_name_is_used_in_place_of_local_servers(settings: Settings, tmp_path: Path):
    async with local_stack(tmp_path / "var", configured=settings) as stack:
        assert (stack.postgres, stack.broker) == (None, None)
        assert stack.settings.postgres_dsn == settings.postgres_dsn
        assert stack.settings.kafka_bootstrap == settings.kafka_bootstrap
    assert not (tmp_path / "var").exists()


async def test_a_throwaway_stack_works_and_leaves_no_database(settings: Settings, tmp_path: Path):
    local = settings.model_copy(update={"postgres_dsn": Settings().postgres_dsn})
    async with local_stack(tmp_path / "var", ephemeral=True, configured=local) as stack:
        assert stack.postgres is not None
        connection = await asyncpg.connect(stack.settings.postgres_owner_dsn.get_secret_value())
        assert await connection.fetchval("select 1") == 1
        await connection.close()
        place = stack.postgres.data_dir
    assert not place.exists()


@pytest.fixture
async def dsn(postgres_server: LocalPostgres) -> str:
    """An empty database, as its owner."""
    name = f"t{uuid4().hex[:12]}"
    await postgres_server.database(name)
    return postgres_server.dsn_of(name, role="postgres")


def invoke(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--json"], env=environment)


def test_migrate_installs_everything_and_again_does_no_harm(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        result = invoke("migrate", HALLMARK_POSTGRES_OWNER_DSN=dsn)
        assert result.exit_code == 0, result.output
        assert "ledger" in json.loads(result.stdout)["migrated"]
    assert not (tmp_path / "var").exists()


def test_doctor_tells_what_can_be_reached(dsn: str):
    result = invoke("doctor", HALLMARK_POSTGRES_DSN=dsn)
    checks = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert checks["database"]["ok"] is True
    assert "PostgreSQL 18" in checks["database"]["detail"]


def test_doctor_fails_with_a_fix_where_a_database_is_not_there():
    result = invoke("doctor", HALLMARK_POSTGRES_DSN="postgresql://nobody@127.0.0.1:1/nothing")
    checks = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert result.exit_code == 1
    assert checks["database"]["ok"] is False
    assert "HALLMARK_POSTGRES_DSN" in checks["database"]["fix"]


def test_a_server_that_is_not_there_is_told_by_doctor_but_not_required(monkeypatch: pytest.MonkeyPatch):
    checks = json.loads(invoke("doctor", HALLMARK_URL="http://127.0.0.1:1").stdout)["checks"]
    (server,) = [check for check in checks if check["name"] == "server"]
    assert (server["ok"], server["required"]) == (False, False)


def test_serving_without_a_named_database_is_wrong_usage():
    result = CliRunner().invoke(app, ["serve", "ledger"], env={"HALLMARK_POSTGRES_DSN": ""})
    assert result.exit_code == 2
    assert "hallmark up" in result.stderr


def test_httpx_is_only_a_part_of_commands_that_talk_to_a_server():
    """What keeps help quick: the command line itself imports neither httpx nor pydantic."""
    import subprocess
    import sys

    code = "import sys, hallmark.cli; print([m for m in ('httpx', 'pydantic', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
