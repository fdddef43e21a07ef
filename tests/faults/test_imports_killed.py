"""A worker killed in the midst of an import: nothing half is registered, it goes on. Large files take no memory."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from faults.test_uploads_killed import Server, started
from hallmark_ingestion import bootstrap as ingestion
from pydantic import SecretStr
from registry_core.handlers import load
from registry_core.runtime import install_schema
from registry_core.service import Platform, open_platform
from registry_core.settings import Settings
from registry_core.version import Version
from support import until
from support_hub import Hub, Repository, hub

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
REF = "model:tiny@1.0.0"
WEIGHTS = bytes(range(256)) * 20_000
LARGE = 300_000_000
"""Bytes of a file that is imported in constant memory."""
MOST_GROWTH = 80_000_000
"""Bytes that the process may need above what it needed before, at its highest."""


@pytest.fixture
def mirror() -> Iterator[Hub]:
    with hub() as made:
        made.repositories["org/tiny"] = Repository({"config.json": b"{}", "weights.bin": WEIGHTS})
        yield made


@pytest.fixture
async def platform(settings: Settings, mirror: Hub) -> AsyncIterator[Platform]:
    told = {"huggingface_endpoint": mirror.url, "huggingface_token": SecretStr(""), "kafka_bootstrap": ""}
    opened = await open_platform(settings.model_copy(update=told))
    await install_schema(opened.settings, [ingestion.build(opened)])
    yield opened
    opened.terminate()


@pytest.fixture
async def server(platform: Platform, tmp_path: Path) -> AsyncIterator[Server]:
    async with started(platform, tmp_path / "server.log") as made:
        yield made


async def asked_for(server: Server) -> str:
    async with server.client() as client:
        answer = await client.post("/v1/imports", json={"url": "hf://org/tiny", "ref": REF})
    assert answer.status_code == 202, answer.text
    number: str = answer.json()["id"]
    return number


async def ended(server: Server, number: str) -> dict[str, Any]:
    async with server.client() as client:

        async def done() -> dict[str, Any] | None:
            found: dict[str, Any] = (await client.get(f"/v1/imports/{number}")).json()
            return found if found["state"] in ("done", "refused") else None

        return await until(done, 120)


async def test_an_import_whose_worker_was_killed_goes_on_with_the_files_that_are_missing(
    platform: Platform, server: Server, mirror: Hub
) -> None:
    mirror.halt = ("weights.bin", len(WEIGHTS) // 2)
    number = await asked_for(server)
    assert await asyncio.to_thread(mirror.halted.wait, 60)
    await server.kill()
    assert not (await load(platform.reader, Version(), REF)).exists
    digest = f"sha256:{hashlib.sha256(WEIGHTS).hexdigest()}"
    assert not await platform.objects.has(digest)
    mirror.halt = None
    await platform.pool.execute("update work.jobs set lease_until = now() where kind = 'import-version'")
    await server.start()
    found = await ended(server, number)
    assert (found["state"], found["ref"]) == ("done", REF)
    version = await load(platform.reader, Version(), REF)
    assert {file.name for file in version.files} == {"config.json", "weights.bin"}
    assert await platform.objects.get(digest) == WEIGHTS
    asked = [path.rpartition("/")[2] for path, _ in mirror.asked if "/resolve/" in path]
    assert sorted(asked) == ["config.json", "weights.bin", "weights.bin"]


async def test_a_large_file_is_imported_in_constant_memory(server: Server, mirror: Hub) -> None:
    await asked_for_and_done(server)
    mirror.repositories["org/tiny"].files["weights.bin"] = bytes(LARGE)
    before = highest(server)
    async with server.client() as client:
        answer = await client.post("/v1/imports", json={"url": "hf://org/tiny", "ref": "model:tiny@2.0.0"})
    found = await ended(server, answer.json()["id"])
    assert (found["state"], found["bytes_stored"]) == ("done", LARGE + 2)
    grown = highest(server) - before
    print(f"{LARGE / 1e6:.0f} MB imported; highest memory {before / 1e6:.0f} MB before, and {grown / 1e6:.0f} MB more")
    assert grown < MOST_GROWTH


async def asked_for_and_done(server: Server) -> None:
    """Everything that is loaded at first use is there afterwards."""
    assert (await ended(server, await asked_for(server)))["state"] == "done"


def highest(server: Server) -> int:
    """The most memory that the process ever had, in bytes: VmHWM of proc(5)."""
    assert server.process
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
