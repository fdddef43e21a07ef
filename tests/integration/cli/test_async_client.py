"""The asynchronous client against a real server: shared by many tasks, and cancelled at any moment."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hallmark import AsyncClient, AsyncRetry
from hallmark.aio.api import versions
from registry_core.service import Platform
from registry_core.settings import Settings
from support import served, token_of, until

REF = "model:m@1.0.0"
MIB = 1024 * 1024


@dataclass(frozen=True)
class Place:
    platform: Platform
    hallmark: AsyncClient


@pytest.fixture
async def place(settings: Settings) -> AsyncIterator[Place]:
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with served(alone, ["ledger", "ingestion"]) as (platform, url):
        token = await token_of(platform, "ci", "contributor")
        async with AsyncClient(url, token, retry=AsyncRetry(20)) as hallmark:
            yield Place(platform, hallmark)


async def cancelled_after(bytes_moved: int, transfer: Any) -> None:
    """Begin a transfer and cancel it once its progress has counted so many bytes."""
    enough, moved = asyncio.Event(), 0

    def count(more: int) -> None:
        nonlocal moved
        moved += more
        if moved >= bytes_moved:
            enough.set()

    task = asyncio.create_task(transfer(count))
    async with asyncio.timeout(30):
        await enough.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_hundred_tasks_share_one_client(place: Place, tmp_path: Path) -> None:
    contents = {f"{number}.bin": os.urandom(1000 + number) for number in range(100)}

    async def journey(number: int) -> bytes:
        ref, name = f"model:m@1.0.{number}", f"{number}.bin"
        (tmp_path / name).write_bytes(contents[name])
        await place.hallmark.register_version(ref, files=[tmp_path / name])
        await place.hallmark.amend_metadata(ref, {"purpose": f"the {number}th"})
        await place.hallmark.download(ref, tmp_path / str(number))
        return (tmp_path / str(number) / name).read_bytes()

    arrived = await asyncio.gather(*map(journey, range(100)))
    assert arrived == list(contents.values())
    found = await place.hallmark.asset("model:m")
    assert len(found["versions"]) == 100


async def test_the_loop_goes_on_while_files_are_read_and_hashed(place: Place, tmp_path: Path) -> None:
    """A hundred megabytes take the disk and SHA-256 their time: other tasks have theirs meanwhile."""
    (tmp_path / "w.bin").write_bytes(os.urandom(1000) * 100_000)
    register = asyncio.create_task(place.hallmark.register_version(REF, files=[tmp_path / "w.bin"]))
    turns = await turns_until(register)
    assert turns > 20
    await register


async def turns_until(task: "asyncio.Task[Any]") -> int:
    """How often another task gets its turn, asking ten times as seldom as it might be."""
    turns = 0
    while not task.done():
        await asyncio.wait([task], timeout=0.002)
        turns += 1
    return turns


async def test_an_upload_that_was_cancelled_goes_on_where_it_was(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "RESUMABLE", MIB)
    content, path = os.urandom(24 * MIB + 5), tmp_path / "w.bin"
    path.write_bytes(content)
    await cancelled_after(12 * MIB, lambda count: place.hallmark.register_version(REF, files=[path], progress=count))
    assert (await place.hallmark.version(REF))["files"][0]["uri"] is None
    kept = await until(lambda: bytes_kept(place))
    sent: list[int] = []
    await place.hallmark.upload_file(REF, path, progress=sent.append)
    assert sent[0] >= kept > 0  # counted first: what the server had
    assert sum(sent) == len(content)
    assert await stored(place, content)


async def bytes_kept(place: Place) -> int:
    headers = await place.hallmark.retrying(lambda: place.hallmark.head(f"/v1/versions/{REF}/uploads/w.bin"))
    return int(headers["upload-offset"])


async def stored(place: Place, content: bytes) -> bool:
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    return b"".join([chunk async for chunk in place.platform.objects.stream(digest)]) == content


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
async def test_a_download_that_was_cancelled_goes_on_where_it_was(place: Place, tmp_path: Path, share: float) -> None:
    content = os.urandom(8 * MIB + 3)
    (tmp_path / "w.bin").write_bytes(content)
    await place.hallmark.register_version(REF, files=[tmp_path / "w.bin"])
    folder = tmp_path / "to"
    await cancelled_after(
        max(1, int(share * len(content))), lambda count: place.hallmark.download(REF, folder, progress=count)
    )
    assert not (folder / "w.bin").exists()
    (part,) = folder.iterdir()
    come = part.stat().st_size
    assert content.startswith(part.read_bytes())
    again: list[int] = []
    await place.hallmark.download(REF, folder, progress=again.append)
    assert again[0] == come >= share * len(content)
    assert [path.name for path in folder.iterdir()] == ["w.bin"]
    assert (folder / "w.bin").read_bytes() == content


async def test_cancelling_many_calls_leaves_a_client_that_works(place: Place) -> None:
    calls: list[Coroutine[Any, Any, Any]] = [place.hallmark.whoami() for _ in range(150)]
    tasks = [asyncio.create_task(call) for call in calls]
    await tasks[0]
    for task in tasks:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(20):
        answers = await asyncio.gather(*(place.hallmark.whoami() for _ in range(150)))
    assert {answer["account"] for answer in answers} == {"ci"}
