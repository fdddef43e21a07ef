"""A ledger on a restored database asks its witnesses before it seals or signs, so that no log gets two histories."""

import asyncio
import io
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog
from conftest import Database
from hallmark_ledger import witnessing
from hallmark_ledger.witnessing import Delivery
from integration.ledger.conftest import Ledger
from pydantic import SecretStr
from registry_core.backup import restore, write_backup
from registry_core.local import ports
from registry_core.local.postgres import LocalPostgres
from registry_core.proofs.pack import verify_pack
from registry_core.settings import Settings
from registry_core.store.connections import Pool
from registry_core.store.postgres import PostgresEventStore
from registry_core.witnesses import open_witness
from support import NOW, until
from support_ledger import empty_database, refused, stands_still, started
from support_log import append, seal_all
from support_witness import TlogWitness

pytestmark = pytest.mark.timeout(120)
LOST = 4
"""Events after the backup; all of them signed, and known to the witness."""


@pytest.fixture(params=["file", "s3", "http"])
def witnessed(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Settings that name a witness."""
    if request.param == "file":
        return {"witnesses": (tmp_path / "kept").as_uri()}
    if request.param == "http":
        return {"witnesses": request.getfixturevalue("tlog_witness").url}
    account = {"objects_access_key": "test", "objects_secret_key": SecretStr("test-secret")}
    return {"witnesses": f"s3://witness/{tmp_path.name}", "objects_endpoint": request.getfixturevalue("s3"), **account}


@dataclass(frozen=True, slots=True)
class Restored:
    """An old backup in a database of its own; its ledger is still to be started."""

    settings: Settings
    pool: Pool
    size: int


@asynccontextmanager
async def old_backup(
    ledger: Ledger, database: Database, server: LocalPostgres, folder: Path, **witnessed: Any
) -> AsyncIterator[Restored]:
    """Signed events, a backup, then more events that the witness knows of and the backup does not."""
    witness = open_witness(witnessed["witnesses"], ledger.platform.settings.model_copy(update=witnessed))
    await ledger.append(6)
    await ledger.sign()
    await write_backup(folder / "backup", database.owner_dsn, NOW, artifacts=None)
    await ledger.append(LOST)
    await ledger.sign()
    assert await Delivery(ledger.platform, witness).deliver()
    shutil.copytree(ledger.platform.settings.data_dir / "keys", folder / "elsewhere" / "keys")
    async with empty_database(server) as (dsn, pool):
        await restore(folder / "backup", dsn)
        changes = {
            "data_dir": folder / "elsewhere",
            "postgres_dsn": SecretStr(dsn.replace("postgres@", "hallmark_service@", 1)),
            "postgres_ledger_dsn": SecretStr(dsn.replace("postgres@", "hallmark_ledger@", 1)),
            "checkpoint_seconds": 0.1,
            **witnessed,
        }
        settings = ledger.platform.settings.model_copy(update=changes)
        yield Restored(settings, pool, await pool.fetchval("select next_index from log.sealer_state"))


async def test_a_ledger_on_an_older_state_of_the_log_seals_and_signs_nothing(
    ledger: Ledger, database: Database, postgres_server: LocalPostgres, tmp_path: Path, witnessed: dict[str, Any]
) -> None:
    async with old_backup(ledger, database, postgres_server, tmp_path, **witnessed) as restored:
        with structlog.testing.capture_logs() as logs:
            async with started(restored.settings) as (platform, client):
                assert "its tail was cut off" in await refused(client)
                await stands_still(platform, client, restored.size)
        told = [line for line in logs if line["log_level"] == "critical"]
        assert told[0]["event"] == "a witness contradicts the log"
        assert told[0]["stops"]


async def test_a_log_that_grew_otherwise_to_the_size_that_the_witness_holds_is_refused_too(
    ledger: Ledger, database: Database, postgres_server: LocalPostgres, tmp_path: Path, witnessed: dict[str, Any]
) -> None:
    """As it would be if somebody had sealed without asking."""
    async with old_backup(ledger, database, postgres_server, tmp_path, **witnessed) as restored:
        await PostgresEventStore(restored.pool).append(append("other", LOST))
        await seal_all(restored.pool)
        async with started(restored.settings) as (platform, client):
            assert "another root" in await refused(client)
            await stands_still(platform, client, restored.size + LOST)


async def test_no_checkpoint_at_all_is_no_reason_not_to_ask(
    ledger: Ledger, database: Database, postgres_server: LocalPostgres, tmp_path: Path, witnessed: dict[str, Any]
) -> None:
    """A backup from before the first checkpoint."""
    async with old_backup(ledger, database, postgres_server, tmp_path, **witnessed) as restored:
        await restored.pool.execute("alter table log.checkpoints disable trigger user; delete from log.checkpoints")
        async with started(restored.settings) as (_, client):
            assert "its tail was cut off" in await refused(client)
            assert await restored.pool.fetchval("select count(*) from log.checkpoints") == 0


async def test_a_log_that_lost_a_checkpoint_but_no_event_goes_on(
    ledger: Ledger, database: Database, postgres_server: LocalPostgres, tmp_path: Path, witnessed: dict[str, Any]
) -> None:
    """As after a failover between the checkpoint and its copy: the witness is ahead, the events are all there."""
    async with old_backup(ledger, database, postgres_server, tmp_path, **witnessed) as restored:
        del restored  # the database itself is at hand
        owner = await asyncpg.connect(database.owner_dsn)
        await owner.execute("alter table log.checkpoints disable trigger user")
        await owner.execute("delete from log.checkpoints where size = (select max(size) from log.checkpoints)")
        await owner.close()
        settings = ledger.platform.settings.model_copy(update={"checkpoint_seconds": 0.1, **witnessed})
        async with started(settings) as (platform, client):
            added = append("after")
            await platform.store.append(added)
            index = await platform.store.wait_sealed(added.events[-1].id, 20)
            assert index is not None
            await until(lambda: platform.pool.fetchval("select max(size) > $1 from log.checkpoints", index))
            assert (await client.get("/v1/audit/export")).status_code == 200


async def test_a_witness_out_of_reach_does_not_stop_the_log_but_is_heard_when_it_is_back(
    ledger: Ledger, database: Database, postgres_server: LocalPostgres, tmp_path: Path, tlog_witness: TlogWitness
) -> None:
    async with old_backup(ledger, database, postgres_server, tmp_path, witnesses=tlog_witness.url) as restored:
        tlog_witness.away = True
        async with started(restored.settings) as (platform, client):
            added = append("meanwhile")
            await platform.store.append(added)
            assert await platform.store.wait_sealed(added.events[-1].id, 20) is not None
            tlog_witness.away = False
            await refused(client)
            await stands_still(
                platform, client, await platform.pool.fetchval("select next_index from log.sealer_state")
            )


async def test_a_witness_that_never_answers_holds_a_start_up_for_a_bounded_time_only(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witnessing, "PATIENCE", 0.2)
    with ports.listen("127.0.0.1", 0) as silent:  # it takes connections and never says a word
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = ledger.platform.settings.model_copy(update={"witnesses": url})
        async with started(settings) as (platform, _):
            added = append("s")
            await platform.store.append(added)
            assert await platform.store.wait_sealed(added.events[-1].id, 20) is not None


async def test_another_logs_checkpoint_is_told_aloud_and_stops_nothing(ledger: Ledger, tmp_path: Path) -> None:
    """Who can write to a witness's folder, but does not have this log's name in it, cannot stop the log."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "000000000999.note").write_text(f"elsewhere.example/log\n999\n{'A' * 43}=\n\n— x eHh4eHg=\n")
    delivery = Delivery(ledger.platform, open_witness((tmp_path / "kept").as_uri(), Settings()))
    await ledger.append(2)
    await ledger.sign()
    with structlog.testing.capture_logs() as logs:
        assert not await delivery.deliver()
    assert [(line["log_level"], line["stops"]) for line in logs] == [("critical", False)]
    assert delivery.heard.is_set()


async def test_a_log_whose_events_are_lost_for_good_goes_on_as_another_one(
    ledger: Ledger, database: Database, postgres_server: LocalPostgres, tmp_path: Path
) -> None:
    """The way that the refusal names, docs/backup.md: another origin, another key, other places for checkpoints."""
    witnessed = {"witnesses": (tmp_path / "kept").as_uri()}
    async with old_backup(ledger, database, postgres_server, tmp_path, **witnessed) as restored:
        renamed = {"checkpoint_origin": "log.example/second", "witnesses": (tmp_path / "second").as_uri()}
        settings = restored.settings.model_copy(update=renamed)
        async with started(settings) as (_, client):
            answer = await client.get("/v1/log/key")
            assert answer.status_code == 503, "a name in the settings alone renames no log"
            assert "change HALLMARK_CHECKPOINT_ORIGIN back" in answer.json()["fix"]
        (settings.data_dir / "keys" / "ledger.pem").rename(tmp_path / "first.pem")
        shutil.rmtree(settings.data_dir / "checkpoints")
        async with started(settings) as (platform, client):
            await platform.store.append(append("on", 3))
            await until(lambda: platform.pool.fetchval("select max(size) > $1 from log.checkpoints", restored.size))
            key = (await client.get("/v1/log/key")).json()
            export = await client.get("/v1/audit/export")
            notes = (await client.get("/v1/log/checkpoints")).json()
        assert (key["origin"], len(key["keys"])) == ("log.example/second", 1)
        assert {note.partition("\n")[0] for note in notes} == {"log.example/second"}
        report = verify_pack(io.BytesIO(export.content), [key["vkey"]], notes[0])
        assert report.ok, report.problems
        assert report.events > restored.size
        assert await asyncio.to_thread(lambda: sorted((tmp_path / "second").glob("*.note")))
