"""The SDK and a real server, with a connection between them that breaks at any byte."""

import asyncio
import hashlib
import os
import random
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import obstore
import pytest
from hallmark import Client, UnreachableError
from hallmark.aio.api import versions as aio_versions
from hallmark.api import versions
from registry_core.service import Platform
from registry_core.settings import Settings
from support import served, token_of
from support_breaking import BreakingProxy, breaking_proxy
from support_sdk import Kind, connect

REF = "model:m@1.0.0"
MIB = 1024 * 1024


@dataclass(frozen=True)
class Line:
    proxy: BreakingProxy
    platform: Platform
    token: str
    kind: Kind

    def client(self, seconds: float = 20) -> AbstractContextManager[Client]:
        return connect(self.kind, self.proxy.url, self.token, seconds=seconds)


@pytest.fixture(params=get_args(Kind))
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a test are large."""
    for module in (versions, aio_versions):
        monkeypatch.setattr(module, "RESUMABLE", MIB)


@pytest.fixture
async def line(settings: Settings, artifact_store: dict[str, Any], kind: Kind) -> AsyncIterator[Line]:
    alone = settings.model_copy(update={"kafka_bootstrap": "", **artifact_store})
    async with served(alone, ["ledger", "ingestion"]) as (platform, url), breaking_proxy(url) as proxy:
        yield Line(proxy, platform, await token_of(platform, "ci", "contributor"), kind)


async def test_a_download_that_breaks_at_any_byte_arrives_whole(line: Line, tmp_path: Path) -> None:
    content, dice = os.urandom(5 * MIB + 3), random.Random(5)
    (tmp_path / "w.bin").write_bytes(content)

    def download() -> None:
        with line.client() as hallmark:
            hallmark.register_version(REF, files=[tmp_path / "w.bin"])
        with line.client() as hallmark:
            line.proxy.down[:] = [dice.randrange(2 * MIB) for _ in range(6)]
            hallmark.download(REF, tmp_path / "to")

    await asyncio.to_thread(download)
    assert line.proxy.cuts > 2
    assert hashlib.sha256((tmp_path / "to" / "w.bin").read_bytes()).digest() == hashlib.sha256(content).digest()
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["w.bin"]


@pytest.mark.usefixtures("in_parts")
async def test_an_upload_that_breaks_at_any_byte_goes_on(line: Line, tmp_path: Path) -> None:
    content, dice, moved = os.urandom(20 * MIB + 3), random.Random(7), list[int]()
    (tmp_path / "w.bin").write_bytes(content)

    def upload() -> None:
        with line.client() as hallmark:
            line.proxy.up[:] = [10 * MIB, *(dice.randrange(9 * MIB) for _ in range(5))]
            hallmark.register_version(REF, files=[tmp_path / "w.bin"], progress=moved.append)

    await asyncio.to_thread(upload)
    assert line.proxy.cuts >= 2  # what is left after the first is longer than the second allows
    assert sum(moved) == len(content)
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    assert b"".join([chunk async for chunk in line.platform.objects.stream(digest)]) == content
    assert await left_behind(line) == []


@pytest.mark.usefixtures("in_parts")
async def test_another_process_goes_on_with_an_upload(line: Line, tmp_path: Path) -> None:
    content = os.urandom(20 * MIB)
    (tmp_path / "w.bin").write_bytes(content)

    def upload() -> int:
        line.proxy.up[:] = [15 * MIB] * 2
        with line.client(0) as given_up, pytest.raises(UnreachableError):
            given_up.register_version(REF, files=[tmp_path / "w.bin"])
        line.proxy.up.clear()
        before = line.proxy.passed
        with line.client() as hallmark:
            hallmark.register_version(REF, files=[tmp_path / "w.bin"])
        return line.proxy.passed - before

    sent = await asyncio.to_thread(upload)
    assert sent < 6 * MIB
    assert await left_behind(line) == []


async def left_behind(line: Line) -> list[str]:
    return [entry["path"] async for batch in obstore.list(line.platform.objects.store, "incoming") for entry in batch]
