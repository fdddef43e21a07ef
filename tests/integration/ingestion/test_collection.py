"""What nothing refers to is removed, and nothing else, whoever registers at that very moment."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import obstore
import pytest
from hallmark.cli import app
from hallmark_ingestion import bootstrap as ingestion
from hallmark_ledger import bootstrap as ledger
from registry_core.collection import GRACE, Collected, Collector, forget_uploads
from registry_core.problems import Problem
from registry_core.service import Platform
from registry_core.settings import Settings
from support import http, running, token_of
from typer.testing import CliRunner

LATER = datetime.now(UTC) + timedelta(days=40)
RETENTION = timedelta(days=30)
REF = "model:m@1.0.0"
Meanwhile = Callable[[], Awaitable[None]]


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Place:
    client: httpx.AsyncClient
    platform: Platform
    log: asyncpg.Connection

    async def collect(self, now: datetime = LATER, *, act: bool = True, kind: type[Collector] = Collector) -> Collected:
        return await kind(self.platform.objects, self.log, now, RETENTION, act=act).run()

    async def upload(self, content: bytes, ref: str = REF) -> None:
        files = [{"name": "w", "digest": digest_of(content), "size": len(content)}]
        (await self.client.post("/v1/versions", json={"ref": ref, "files": files})).raise_for_status()
        (await self.client.put(f"/v1/versions/{ref}/files/w", content=content)).raise_for_status()

    async def attach(self, content: bytes) -> None:
        (await self.client.post("/v1/versions", json={"ref": REF, "digest": "sha256:" + "1" * 64})).raise_for_status()
        (await self.client.post(f"/v1/versions/{REF}/evidence?type=sbom", content=content)).raise_for_status()

    async def names(self) -> set[str]:
        return {entry["path"] async for batch in obstore.list(self.platform.objects.store) for entry in batch}


@pytest.fixture
async def place(settings: Settings, artifact_store: dict[str, Any], owner: asyncpg.Connection) -> AsyncIterator[Place]:
    alone = settings.model_copy(update={"kafka_bootstrap": "", **artifact_store})
    async with running(alone, [ledger.build, ingestion.build]) as (platform, services):
        token = await token_of(platform, "ci", "contributor")
        async with http(platform, services, token) as client:
            yield Place(client, platform, owner)


async def test_only_what_is_old_and_nobody_refers_to_goes(place: Place) -> None:
    await place.upload(b"an artifact")
    assert (await place.client.post(f"/v1/versions/{REF}/evidence?type=sbom", content=b"an SBOM")).is_success
    lost = await place.platform.objects.put(b"an orphan")
    before = await place.names()
    assert (await place.collect(datetime.now(UTC))).moved_aside == []  # too young
    told = await place.collect(act=False)
    assert (told.moved_aside, told.kept, await place.names()) == ([lost], 2, before)

    assert (await place.collect()).moved_aside == [lost]
    with pytest.raises(Problem, match="no object"):
        await place.platform.objects.get(lost)
    assert (await place.collect(LATER + GRACE / 2)).deleted == []
    assert (await place.collect(LATER + GRACE)).deleted == [lost]
    assert await place.names() == before - {place.platform.objects.path_of(lost)}


async def test_the_command_tells_first_and_acts_when_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = place.platform.settings
    lost = await place.platform.objects.put(b"an orphan")
    for name in ("postgres_owner_dsn", "objects_secret_key"):
        monkeypatch.setenv(f"HALLMARK_{name.upper()}", getattr(settings, name).get_secret_value())
    for name in ("data_dir", "objects_url", "objects_endpoint", "objects_access_key"):
        monkeypatch.setenv(f"HALLMARK_{name.upper()}", str(getattr(settings, name)))

    def run(*options: str) -> dict[str, Any]:
        result = CliRunner().invoke(app, ["artifacts", "collect", "--json", *options])
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    assert (await asyncio.to_thread(run))["moved_aside"] == []  # 30 days old it is not
    monkeypatch.setattr("hallmark.cli.collecting.now", lambda: LATER)
    assert (await asyncio.to_thread(run))["moved_aside"] == [lost]
    assert await place.platform.objects.has(lost)
    assert (await asyncio.to_thread(run, "--delete", "--older-than", "39"))["moved_aside"] == [lost]
    assert not await place.platform.objects.has(lost)


async def test_what_is_referred_to_after_it_was_moved_aside_comes_back(place: Place) -> None:
    orphan = await place.platform.objects.put(b"the weights")
    await place.collect()
    files = [{"name": "w", "digest": orphan}]
    (await place.client.post("/v1/versions", json={"ref": REF, "files": files})).raise_for_status()
    assert (await place.collect(LATER + 2 * GRACE)).moved_back == [orphan]
    assert await place.platform.objects.get(orphan) == b"the weights"


@pytest.mark.parametrize("moment", ["before the move", "after the move", "after the second reading"])
@pytest.mark.parametrize("what", ["upload", "attach"])
async def test_who_registers_at_that_very_moment_keeps_the_content(place: Place, what: str, moment: str) -> None:
    content = b"the same content"
    await place.platform.objects.put(content)

    class Racing(Collector):
        async def _move_aside(self, digest: str) -> None:
            if moment == "before the move":
                await getattr(place, what)(content)
            await super()._move_aside(digest)
            if moment == "after the move":
                await getattr(place, what)(content)

        async def _bring_back(self, known: set[str]) -> None:
            if moment == "after the second reading":
                await getattr(place, what)(content)
            await super()._bring_back(known)

    assert (await place.collect(kind=Racing)).moved_aside == [digest_of(content)]
    assert await place.platform.objects.get(digest_of(content)) == content
    await place.collect(LATER + 2 * GRACE)
    assert await place.platform.objects.get(digest_of(content)) == content


async def test_evidence_moved_aside_while_it_is_attached_is_put_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"an SBOM"
    await place.platform.objects.put(content)
    put = place.platform.objects.put

    async def put_then_collected(data: bytes) -> str:
        digest = await put(data)
        monkeypatch.setattr(place.platform.objects, "put", put)
        await place.collect()  # the event is not there yet
        return digest

    monkeypatch.setattr(place.platform.objects, "put", put_then_collected)
    await place.attach(content)
    assert await place.platform.objects.get(digest_of(content)) == content


async def test_an_upload_that_nobody_goes_on_with_is_forgotten(place: Place) -> None:
    files = [{"name": "w", "digest": "sha256:" + "2" * 64, "size": 100}]
    (await place.client.post("/v1/versions", json={"ref": REF, "files": files})).raise_for_status()
    path = f"/v1/versions/{REF}/uploads/w"
    (await place.client.patch(path, content=b"half", headers={"upload-offset": "0"})).raise_for_status()
    objects = place.platform.objects
    assert await forget_uploads(objects, datetime.now(UTC) - timedelta(hours=1)) == 0
    assert (await place.client.head(path)).headers["upload-offset"] == "4"
    assert await forget_uploads(objects, datetime.now(UTC) + timedelta(hours=1)) == 1
    assert (await place.client.head(path)).headers["upload-offset"] == "0"


async def test_what_a_killed_process_was_writing_into_a_folder_is_forgotten(settings: Settings, place: Place) -> None:
    incoming = settings.data_dir / "objects" / "incoming"
    incoming.mkdir(parents=True, exist_ok=True)
    (incoming / "0b0e#1").write_bytes(b"half")
    removed = await forget_uploads(place.platform.objects, datetime.now(UTC) + timedelta(hours=1))
    in_folder = place.platform.settings.objects_url == ""
    assert (removed, (incoming / "0b0e#1").exists()) == (int(in_folder), not in_folder)
