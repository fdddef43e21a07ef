"""Uploads that break off go on or leave nothing; in a folder and on a real S3 server."""

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import obstore
import pytest
from hallmark_ingestion import bootstrap as ingestion
from hallmark_ledger import bootstrap as ledger
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registry_core import uploads
from registry_core.service import Platform, Service
from registry_core.settings import Settings
from support import http, running, token_of

CONTENT = os.urandom(40_000)
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
REF = "model:m@1.0.0"
PATH = f"/v1/versions/{REF}/uploads/deep/w.bin"


@dataclass(frozen=True)
class Api:
    client: httpx.AsyncClient
    platform: Platform
    services: list[Service]

    async def declare(self, ref: str = REF, **changes: Any) -> None:
        file = {"name": "deep/w.bin", "digest": DIGEST, "size": len(CONTENT), **changes}
        (await self.client.post("/v1/versions", json={"ref": ref, "files": [file]})).raise_for_status()

    async def send(self, offset: int, content: bytes | AsyncIterator[bytes], **headers: str) -> httpx.Response:
        sent = {"upload-offset": str(offset), **{name.replace("_", "-"): value for name, value in headers.items()}}
        return await self.client.patch(PATH, content=content, headers=sent)

    async def left(self) -> list[str]:
        """Everything in the store that is no object of a digest."""
        return [e["path"] async for batch in obstore.list(self.platform.objects.store, "incoming") for e in batch]

    async def stored(self) -> bool:
        file = (await self.client.get(f"/v1/versions/{REF}")).json()["files"][0]
        return file["uri"] is not None and await self.platform.objects.get(DIGEST) == CONTENT


@asynccontextmanager
async def ingesting(settings: Settings) -> AsyncIterator[Api]:
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with running(alone, [ledger.build, ingestion.build]) as (platform, services):
        token = await token_of(platform, "ci", "contributor")
        async with http(platform, services, token) as client:
            yield Api(client, platform, services)


@pytest.fixture
async def api(
    settings: Settings, artifact_store: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Api]:
    monkeypatch.setattr(uploads, "CHUNK", 8_000)  # several parts of a small file
    async with ingesting(settings.model_copy(update=artifact_store)) as found:
        yield found


async def breaking(content: bytes, after: int) -> AsyncIterator[bytes]:
    for start in range(0, after, 1000):
        yield content[start : min(start + 1000, after)]
    raise ConnectionResetError("broken off")


async def test_a_file_comes_in_as_many_requests_as_it_needs(api: Api) -> None:
    await api.declare()
    begun = await api.client.head(PATH)
    assert (begun.status_code, begun.headers["upload-offset"], begun.headers["upload-complete"]) == (204, "0", "?0")
    assert begun.headers["upload-limit"] == f"max-size={len(CONTENT)}"
    some = await api.send(0, CONTENT[:17_000])
    assert (some.status_code, some.headers["upload-offset"]) == (204, "17000")
    assert (await api.client.head(PATH)).headers["upload-offset"] == "17000"
    done = await api.send(17_000, CONTENT[17_000:])
    assert (done.status_code, done.headers["upload-complete"], done.json()["digest"]) == (200, "?1", DIGEST)
    assert await api.stored()
    assert await api.left() == []


async def test_where_it_is_decides_and_not_where_the_client_thinks(api: Api) -> None:
    await api.declare()
    await api.send(0, CONTENT[:10_000])
    for offset in (0, 9_999, 10_001, 10**15 - 1):
        refused = await api.send(offset, CONTENT[offset:])
        assert (refused.status_code, refused.headers["upload-offset"]) == (409, "10000")
        assert (refused.json()["expected-offset"], refused.json()["provided-offset"]) == (10_000, offset)
    for text in ("", "-1", "x", "1.5", "9" * 400, "\u0661"):
        headers = {"upload-offset": text.encode()}
        assert (await api.client.patch(PATH, content=b"x", headers=headers)).status_code == 400
    assert (await api.client.head(PATH)).headers["upload-offset"] == "10000"


async def test_wrong_content_is_found_at_the_end_and_leaves_nothing(api: Api) -> None:
    await api.declare()
    await api.send(0, b"!" * 10_000)
    refused = await api.send(10_000, CONTENT[10_000:])
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:hallmark:problem:wrong-digest")
    assert (await api.client.head(PATH)).headers["upload-offset"] == "0"
    assert await api.left() == []
    assert not await api.platform.objects.has(DIGEST)


async def test_more_than_was_declared_is_not_kept(api: Api) -> None:
    await api.declare()
    assert (await api.send(0, CONTENT + b"more")).status_code == 413
    assert int((await api.client.head(PATH)).headers["upload-offset"]) <= len(CONTENT)


async def test_without_a_declared_size_the_client_says_which_part_is_the_last(api: Api) -> None:
    await api.declare(size=None)
    assert (await api.send(0, CONTENT)).status_code == 204
    assert (await api.send(len(CONTENT), b"", upload_complete="?1")).status_code == 200
    assert await api.stored()


async def test_an_answer_that_got_lost_is_given_again(api: Api) -> None:
    await api.declare()
    await api.send(0, CONTENT)
    assert (await api.client.head(PATH)).headers["upload-complete"] == "?1"
    again = await api.send(len(CONTENT), b"", upload_complete="?1")
    assert (again.status_code, again.json()["digest"]) == (200, DIGEST)


async def test_an_upload_is_given_up_by_delete(api: Api) -> None:
    await api.declare()
    await api.send(0, CONTENT[:10_000])
    assert (await api.client.delete(PATH)).status_code == 204
    assert await api.left() == []


async def test_nobody_goes_on_with_what_another_began(api: Api) -> None:
    await api.declare()
    await api.send(0, CONTENT[:10_000])
    token = await token_of(api.platform, "boss", "manager")
    head = await api.client.head(PATH, headers={"authorization": f"Bearer {token}"})
    assert head.headers["upload-offset"] == "0"
    stranger = await token_of(api.platform, "eve", "contributor")
    for method in ("HEAD", "PATCH", "DELETE"):
        answer = await api.client.request(method, PATH, headers={"authorization": f"Bearer {stranger}"})
        assert answer.status_code == 403


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(breaks=st.lists(st.integers(0, 12_000), max_size=5))
async def test_it_goes_on_wherever_it_breaks(api: Api, breaks: list[int]) -> None:
    content = os.urandom(30_000)
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    ref = f"model:m{digest[7:20]}@1.0.0"
    path = f"/v1/versions/{ref}/uploads/w"
    files = [{"name": "w", "digest": digest, "size": len(content)}]
    (await api.client.post("/v1/versions", json={"ref": ref, "files": files})).raise_for_status()
    offset = 0
    for after in breaks:
        arrived = min(after, len(content) - offset - 1)
        headers = {"upload-offset": str(offset)}
        broken = await api.client.patch(path, content=breaking(content[offset:], arrived), headers=headers)
        assert broken.status_code == 503
        offset += arrived
        assert (await api.client.head(path)).headers["upload-offset"] == str(offset)
    done = await api.client.patch(path, content=content[offset:], headers={"upload-offset": str(offset)})
    assert done.status_code == 200
    assert await api.platform.objects.get(digest) == content
    assert await api.left() == []
