"""Artifacts by digest: one suite over a folder and over a real S3 server."""

import asyncio
import hashlib
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from registry_core.objects import CHUNK, ObjectStorage
from registry_core.problems import Problem
from registry_core.settings import Settings


@pytest.fixture
def storage(artifact_store: dict[str, Any], tmp_path: Path) -> ObjectStorage:
    return ObjectStorage.open(Settings(data_dir=tmp_path, **artifact_store))


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


async def chunks(data: bytes, size: int = 64 * 1024) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def test_what_is_put_is_what_is_got(storage: ObjectStorage) -> None:
    digest = await storage.put(b"an SBOM")
    assert digest == digest_of(b"an SBOM")
    assert await storage.get(digest) == b"an SBOM"
    assert await storage.put(b"an SBOM") == digest


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, 2 * CHUNK + 17])
async def test_a_stream_of_any_size_is_kept_by_its_digest(storage: ObjectStorage, size: int) -> None:
    data = os.urandom(size)
    assert await storage.put_stream(digest_of(data), chunks(data), limit=size) == size
    assert b"".join([part async for part in storage.stream(digest_of(data))]) == data


async def test_a_wrong_digest_is_refused_and_nothing_stays(storage: ObjectStorage) -> None:
    with pytest.raises(Problem, match="not sha256:"):
        await storage.put_stream(digest_of(b"promised"), chunks(b"delivered"), limit=100)
    assert not await storage.has(digest_of(b"promised"))
    assert not await storage.has(digest_of(b"delivered"))


async def test_a_stream_above_the_limit_is_refused(storage: ObjectStorage) -> None:
    with pytest.raises(Problem) as refused:
        await storage.put_stream(digest_of(b"x" * 1000), chunks(b"x" * 1000, 100), limit=500)
    assert refused.value.status == 413


async def test_two_uploads_of_the_same_content_both_succeed(storage: ObjectStorage) -> None:
    data = os.urandom(100_000)
    uploads = (storage.put_stream(digest_of(data), chunks(data), limit=len(data)) for _ in range(4))
    assert await asyncio.gather(*uploads) == [len(data)] * 4
    assert await storage.get(digest_of(data)) == data


async def test_an_unknown_object_is_told_apart_from_an_error(storage: ObjectStorage) -> None:
    assert not await storage.has(digest_of(b"nothing"))
    with pytest.raises(Problem) as missing:
        await storage.get(digest_of(b"nothing"))
    assert missing.value.status == 404


async def test_the_folder_is_closed_to_other_accounts(tmp_path: Path) -> None:
    ObjectStorage.open(Settings(data_dir=tmp_path / "var"))
    assert stat.S_IMODE((tmp_path / "var" / "objects").stat().st_mode) == 0o700
