"""`hallmark audit` as an auditor runs it, over HTTP against a running ledger."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from conftest import Database
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hallmark import Client
from hallmark.cli import app
from hallmark.errors import HallmarkError
from registry_core.events.versions import VersionAdded
from registry_core.service import Platform
from registry_core.settings import Settings
from registry_core.store import ANY, Append
from support import new, served, token_of, until
from support_witness import TlogWitness, witness_vkey
from typer.testing import CliRunner


@dataclass(frozen=True)
class Auditor:
    platform: Platform
    environment: dict[str, str]

    async def __call__(self, *arguments: str, code: int = 0) -> Any:
        """The JSON that a command prints."""
        run = CliRunner().invoke
        result = await asyncio.to_thread(run, app, ["audit", *arguments, "--json"], env=self.environment)
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    async def append(self) -> int:
        """Five events; the log index of the last."""
        data = [VersionAdded(ref=f"model:m@1.0.{n}", digest="sha256:" + "0" * 64) for n in range(5)]
        events = [new(item) for item in data]
        await self.platform.store.append(Append(f"asset:model:{uuid4()}", events, ANY))
        index = await self.platform.store.wait_sealed(events[-1].id, 20)
        assert index is not None
        return index


@pytest.fixture
def witness() -> Iterator[TlogWitness]:
    server = TlogWitness()
    yield server
    server.stop()


@pytest.fixture
async def auditor(ledger_settings: Settings, tmp_path: Path, witness: TlogWitness) -> AsyncIterator[Auditor]:
    settings = ledger_settings.model_copy(update={"checkpoint_seconds": 0.1, "witnesses": witness.url_with_key})
    async with served(settings, ["ledger"]) as (platform, url):
        token = await token_of(platform, "root", "admin")
        auditor = Auditor(platform, {"HALLMARK_URL": url, "HALLMARK_TOKEN": token, "XDG_CONFIG_HOME": str(tmp_path)})
        await auditor.append()
        yield auditor


async def test_the_live_log_verifies_and_an_altered_event_is_named(auditor: Auditor, database: Database) -> None:
    index = await auditor.append()
    await auditor("checkpoint")
    report = await auditor("verify", "--live")
    assert report["ok"]
    assert report["size"] > index
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("alter table log.events disable trigger user")
    position = await owner.fetchval("select position from log.sealed where log_index = $1", index)
    await owner.execute("update log.events set actor = 'mallory' where position = $1", position)
    await owner.close()
    report = await auditor("verify", "--live", code=1)
    assert [finding["first"] for finding in report["findings"]] == [index]


async def test_a_server_that_shows_no_checkpoint_is_held_against_the_one_kept(
    auditor: Auditor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs it may have dropped them all."""
    await auditor.append()
    held = tmp_path / "held.note"
    held.write_text((await auditor("checkpoint"))["checkpoint"])

    def dropped(_: Client) -> str:
        raise HallmarkError("Not found", "a checkpoint is not known", status=404)

    monkeypatch.setattr(Client, "checkpoint", dropped)
    monkeypatch.setattr(Client, "checkpoints", lambda *_: [])
    assert (await auditor("verify", "--live", "--held", str(held)))["ok"]
    report = await auditor("verify", "--live", code=1)
    assert report["findings"][0]["message"] == "no signed checkpoint covers anything: nothing can be verified"


async def test_after_a_rotation_the_old_key_still_leads_to_the_log(auditor: Auditor, tmp_path: Path) -> None:
    old, held = await auditor("key"), tmp_path / "held.note"
    held.write_text((await auditor("checkpoint"))["checkpoint"])
    rotated = await auditor("rotate-key", "--reason", "yearly")
    await auditor.append()
    assert rotated["vkey"] != old["vkey"]
    assert (await auditor("key"))["vkey"] == rotated["vkey"]
    assert (await auditor("verify", "--live", "--key", old["vkey"], "--held", str(held)))["ok"]
    assert (await auditor("verify", "--held", str(held)))["ok"]


async def test_what_a_witness_cosigned_is_shown_to_who_knows_its_key(
    auditor: Auditor, witness: TlogWitness, tmp_path: Path
) -> None:
    index = await auditor.append()

    async def covered() -> bool:
        query = "select max(size) > $1 from log.cosignatures"
        return bool(await auditor.platform.pool.fetchval(query, index))

    await until(covered)
    export = tmp_path / "log.hallmark"
    await auditor("export", str(export))
    stranger = witness_vkey(Ed25519PrivateKey.generate())
    for what in ("--live", str(export)):
        report = await auditor("verify", what, "--witness-key", witness.vkey)
        (cosigned,) = report["cosigned"]
        assert cosigned["witness"] == "witness.example/w"
        assert cosigned["size"] > index
        report = await auditor("verify", what, "--witness-key", witness.vkey, "--witness-key", stranger, code=1)
        told = [found["message"] for found in report.get("findings") or report["problems"]]
        assert told == [f"no checkpoint here is cosigned by the witness {stranger}"]


async def test_a_cosignature_that_somebody_put_into_the_database_is_found(
    auditor: Auditor, witness: TlogWitness, database: Database
) -> None:
    await until(lambda: auditor.platform.pool.fetchval("select count(*) from log.cosignatures"))
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("alter table log.cosignatures disable trigger user")
    await owner.execute("update log.cosignatures set line = left(line, -12) || 'AAAAAAAA' || right(line, 4)")
    await owner.close()
    assert (await auditor("verify", "--live"))["ok"], "who does not ask for the witness does not look at its lines"
    report = await auditor("verify", "--live", "--witness-key", witness.vkey, code=1)
    assert "a cosignature of the checkpoint of" in report["findings"][0]["message"]
