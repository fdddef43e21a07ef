"""Artifacts by digest: one suite over a folder and over a real S3 server."""

import asyncio
import hashlib
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import obstore
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


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, 2 * CHUNK + 17])
async def test_a_stream_whose_digest_nobody_knows_yet_is_kept_by_what_it_turns_out_to_be(
    storage: ObjectStorage, size: int
) -> None:
    data = os.urandom(size)
    assert await storage.take(chunks(data), limit=size) == (digest_of(data), size)
    assert await storage.take(chunks(data), limit=size) == (digest_of(data), size)
    assert b"".join([part async for part in storage.stream(digest_of(data))]) == data
    assert [entry["path"] async for batch in obstore.list(storage.store, prefix="incoming") for entry in batch] == []


async def test_of_a_stream_that_breaks_off_or_grows_too_large_nothing_stays(storage: ObjectStorage) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        await storage.take(broken(), limit=100)
    with pytest.raises(Problem) as refused:
        await storage.take(chunks(b"x" * 1000, 100), limit=500)
    assert refused.value.status == 413
    assert [entry["path"] async for batch in obstore.list(storage.store) for entry in batch] == []


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


async def test_an_object_that_is_there_is_not_written_again(storage: ObjectStorage) -> None:
    """Many writers of one content at once: the first one's object stays, to the moment and the tag."""
    data = os.urandom(2 * CHUNK + 5)
    digest = digest_of(data)
    begun = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        async for chunk in chunks(data, CHUNK):
            yield chunk
            await begun.wait()

    late = [asyncio.create_task(storage.put_stream(digest, slowly(), len(data), size=len(data))) for _ in range(3)]
    await asyncio.sleep(0)
    await storage.put_stream(digest, chunks(data), len(data), size=len(data))
    first = await obstore.head_async(storage.store, storage.path_of(digest))
    begun.set()
    assert await asyncio.gather(*late) == [len(data)] * 3
    assert await obstore.head_async(storage.store, storage.path_of(digest)) == first
    assert await storage.get(digest, len(data)) == data


async def test_wrong_content_at_once_with_the_right_one_never_shows(storage: ObjectStorage) -> None:
    right, wrong = os.urandom(2 * CHUNK), os.urandom(2 * CHUNK)
    digest = digest_of(right)
    sent = [storage.put_stream(digest, chunks(data), CHUNK * 2) for data in (wrong, right, wrong)]
    outcomes = await asyncio.gather(*sent, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Problem, int, Problem]
    assert await storage.get(digest, len(right)) == right


async def test_what_is_too_large_to_be_copied_is_written_at_once(
    storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry_core.objects.COPY_LIMIT", CHUNK)
    right, wrong = os.urandom(2 * CHUNK), os.urandom(2 * CHUNK)
    with pytest.raises(Problem):
        await storage.put_stream(digest_of(right), chunks(wrong), len(right), size=len(right))
    assert not await storage.has(digest_of(right))
    await storage.put_stream(digest_of(right), chunks(right), len(right), size=len(right))
    assert await storage.get(digest_of(right), len(right)) == right
