"""Files far larger than memory is to be: measured on the processes that move them."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
from registry_core.local.postgres import LocalPostgres

from bench.ingesting import ingestion
from bench.object_server import as_texts, bucket, s3_server
from bench.place import Place, run_program

pytestmark = pytest.mark.long

MEGABYTES = int(os.environ.get("HALLMARK_TEST_MEGABYTES", "512"))
"""5000 for what the project promises of 5 GB; takes 11 GB of disk, on S3 up to 21."""
MOST = {"folder": 200, "s3": 240}
"""MB at the server; on S3 it holds parts beside 100 MB of code: 200 is wanted there, too, and 183 to 217 were seen."""
MOST_AT_THE_CLIENT = 200


@pytest.fixture(params=["folder", "s3"])
async def ingesting(
    request: pytest.FixtureRequest, postgres_server: LocalPostgres, tmp_path: Path
) -> AsyncIterator[tuple[int, str]]:
    async with AsyncExitStack() as stack:
        settings = dict[str, str]()
        if request.param == "s3":
            endpoint = await stack.enter_async_context(s3_server(tmp_path / "server", volumes=3 * MEGABYTES // 128 + 4))
            settings = as_texts(bucket(endpoint, "memory"))
        (port,), token = await stack.enter_async_context(ingestion(Place(postgres_server, tmp_path), 1, settings))
        yield port, token


def process_on(port: int) -> psutil.Process:
    (found,) = {c.pid for c in psutil.net_connections("tcp") if c.laddr.port == port and c.status == psutil.CONN_LISTEN}
    return psutil.Process(found)


def most_memory(process: psutil.Process) -> float:
    """MB that the process ever took."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def random_file(path: Path) -> None:
    with path.open("wb") as file:
        for _ in range(MEGABYTES):
            file.write(os.urandom(1_000_000))


@pytest.mark.timeout(1200)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the most memory a process took")
async def test_neither_side_keeps_a_large_file_in_memory(
    ingesting: tuple[int, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    port, token = ingesting
    await asyncio.to_thread(random_file, tmp_path / "large.bin")
    wanted = {"url": f"http://127.0.0.1:{port}", "token": token, "ref": "model:large@1.0.0"}
    paths = {"path": str(tmp_path / "large.bin"), "to": str(tmp_path / "to")}
    printed = await run_program(sys.executable, "-m", "bench.transfer", json.dumps(wanted | paths))
    client: dict[str, Any] = json.loads(printed)
    server = most_memory(process_on(port))
    print(f"{MEGABYTES} MB: {client}, server {server:.0f} MB")
    assert (tmp_path / "to" / "large.bin").stat().st_size == MEGABYTES * 1_000_000
    assert client["rss_mb"] < MOST_AT_THE_CLIENT
    assert server < MOST[request.node.callspec.params["ingesting"]]
