"""Files come back as they were registered, whole or in part; from a folder and from a real S3 server."""

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from hallmark_ingestion import bootstrap as ingestion
from hallmark_ledger import bootstrap as ledger
from registry_core.service import Platform
from registry_core.settings import Settings
from support import http, running, token_of

CONTENT = os.urandom(3 * 1024 * 1024 + 17)
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
TAG = f'"{DIGEST}"'
REF, NAME = "model:m@1.0.0", "weights/part-1.bin"
PATH = f"/v1/versions/{REF}/files/{NAME}"
URL_PATH = f"/v1/versions/{REF}/urls/{NAME}"


@dataclass(frozen=True)
class Api:
    client: httpx.AsyncClient
    platform: Platform


@asynccontextmanager
async def ingesting(settings: Settings, *roles: str) -> AsyncIterator[Api]:
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with running(alone, [ledger.build, ingestion.build]) as (platform, services):
        token = await token_of(platform, "ci", *roles)
        async with http(platform, services, token) as client:
            yield Api(client, platform)


@pytest.fixture
async def api(settings: Settings, artifact_store: dict[str, Any]) -> AsyncIterator[Api]:
    async with ingesting(settings.model_copy(update=artifact_store), "contributor") as found:
        files = [{"name": NAME, "digest": DIGEST}, {"name": "later.bin", "digest": "sha256:" + "1" * 64}]
        (await found.client.post("/v1/versions", json={"ref": REF, "files": files})).raise_for_status()
        (await found.client.put(PATH, content=CONTENT)).raise_for_status()
        yield found


async def test_a_file_comes_back_with_what_verifies_it(api: Api) -> None:
    answer = await api.client.get(PATH)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["etag"] == TAG
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == 'attachment; filename="part-1.bin"'
    assert answer.headers["repr-digest"].startswith("sha-256=:")
    assert answer.headers["cache-control"] == "private, no-cache"


async def test_head_tells_the_same_without_the_content(api: Api) -> None:
    head, whole = await api.client.head(PATH, headers={"range": "bytes=0-9"}), await api.client.get(PATH)
    assert (head.status_code, head.content) == (200, b"")
    assert {k: v for k, v in head.headers.items() if k != "date"} == dict(whole.headers)


async def test_a_range_gives_just_its_bytes(api: Api) -> None:
    parts = {
        "bytes=0-0": CONTENT[:1],
        "bytes=100-299": CONTENT[100:300],
        f"bytes={2**20 - 3}-": CONTENT[2**20 - 3 :],
        "bytes=-7": CONTENT[-7:],
        f"bytes=5-{'9' * 400}": CONTENT[5:],
    }
    for asked, part in parts.items():
        answer = await api.client.get(PATH, headers={"range": asked, "if-range": TAG})
        assert (answer.status_code, answer.content) == (206, part)
        assert answer.headers["content-length"] == str(len(part))
        assert answer.headers["content-range"].endswith(f"/{len(CONTENT)}")
        assert answer.headers["etag"] == TAG


async def test_what_cannot_be_given_as_one_part_is_given_whole(api: Api) -> None:
    for asked, condition in (("bytes=0-1,5-9", TAG), ("bytes=9-5", TAG), ("bytes=0-1", '"other"'), ("bytes=x-", TAG)):
        answer = await api.client.get(PATH, headers={"range": asked, "if-range": condition})
        assert (answer.status_code, answer.content) == (200, CONTENT)


async def test_a_range_behind_the_end_is_416_with_the_size(api: Api) -> None:
    answer = await api.client.get(PATH, headers={"range": f"bytes={len(CONTENT)}-"})
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(CONTENT)}")
    assert answer.json()["fix"]


async def test_who_has_it_gets_no_content_and_other_content_is_a_failed_condition(api: Api) -> None:
    known = await api.client.get(PATH, headers={"if-none-match": f'"x", {TAG}'})
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", TAG)
    assert (await api.client.head(PATH, headers={"if-none-match": "*"})).status_code == 304
    assert (await api.client.get(PATH, headers={"if-match": '"other"'})).status_code == 412


async def test_a_name_that_was_not_declared_is_refused_with_the_names_there_are(api: Api) -> None:
    for name in ("other.bin", "weights", "weights/%2e%2e/weights/part-1.bin", "%2e%2e/x"):
        answer = await api.client.get(f"/v1/versions/{REF}/files/{name}")
        assert (name, answer.status_code) == (name, 404)
        assert NAME in answer.json()["fix"]


async def test_a_declared_file_that_has_not_come_says_how_it_comes(api: Api) -> None:
    for kind in ("files", "urls"):
        answer = await api.client.get(f"/v1/versions/{REF}/{kind}/later.bin")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:hallmark:problem:not-uploaded")
        assert f"hallmark upload {REF} later.bin" in answer.json()["fix"]


async def test_an_unknown_version_is_refused(api: Api) -> None:
    for ref, status in (("model:other@1.0.0", 404), ("nonsense", 422)):
        answer = await api.client.get(f"/v1/versions/{ref}/files/{NAME}")
        assert answer.status_code == status
        assert answer.json()["fix"]


async def test_an_object_that_the_store_has_lost_is_told_before_anything_is_sent(api: Api) -> None:
    await api.platform.objects.delete(DIGEST)
    answer = await api.client.get(PATH)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:hallmark:problem:not-found")


async def test_an_address_at_the_store_gives_the_file_without_a_token(
    settings: Settings, api: Api, artifact_store: dict[str, Any]
) -> None:
    answer = await api.client.get(URL_PATH)
    if not artifact_store:
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:hallmark:problem:no-urls")
        assert "/files/" in answer.json()["fix"]
        return
    assert answer.json()["digest"] == DIGEST
    async with httpx.AsyncClient() as anybody:
        direct = await anybody.get(answer.json()["url"], headers={"range": "bytes=10-19"})
        assert (direct.status_code, direct.content) == (206, CONTENT[10:20])
        forged = answer.json()["url"].replace(DIGEST.removeprefix("sha256:"), "1" * 64)
        assert (await anybody.get(forged)).status_code == 403


async def test_whoever_has_no_role_gets_neither_content_nor_address(settings: Settings) -> None:
    async with ingesting(settings) as api:
        for path in (PATH, URL_PATH):
            assert (await api.client.get(path)).status_code == 403
        assert (await api.client.head(PATH)).status_code == 403
