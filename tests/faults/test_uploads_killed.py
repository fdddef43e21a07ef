"""The server is killed in the midst of uploads: they go on at what came, or leave nothing; in a folder and on S3."""

import asyncio
import hashlib
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from signal import SIGKILL
from typing import Any

import httpx
import pytest
from hallmark_ingestion import bootstrap as ingestion
from pydantic import SecretStr
from registry_core.collection import forget_uploads
from registry_core.local import ports
from registry_core.runtime import install_schema
from registry_core.service import Platform, open_platform
from registry_core.settings import Settings
from support import token_of, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
SIZE = 24_000_000
"""Three parts of a file in S3: of the one that is on its way a kill leaves nothing."""
CHUNK = 100_000
KILLED_AT = (0.0, 0.3, 0.7, 1.0)
"""Shares of the file that were sent when the server was killed."""


@dataclass
class Server:
    """Ingestion as a process of its own, which is killed and started again at the same address."""

    environment: dict[str, str]
    log: Path
    port: int
    token: str
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                str(Path(sys.executable).with_name("hallmark")),
                "serve",
                "ledger",
                "ingestion",
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        async with self.client() as client:
            await until(lambda: _is_ready(client), 60)

    async def kill(self) -> None:
        assert self.process
        self.process.send_signal(SIGKILL)
        await self.process.wait()

    def client(self) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {self.token}"}
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=60)


async def _is_ready(client: httpx.AsyncClient) -> bool:
    with suppress(httpx.TransportError):
        return (await client.get("/health/ready")).status_code == 200
    return False


@pytest.fixture
async def platform(settings: Settings, artifact_store: dict[str, Any]) -> AsyncIterator[Platform]:
    """To look at what the server left."""
    opened = await open_platform(settings.model_copy(update={**artifact_store, "kafka_bootstrap": ""}))
    await install_schema(opened.settings, [ingestion.build(opened)])
    yield opened
    opened.terminate()


@asynccontextmanager
async def started(platform: Platform, log: Path) -> AsyncIterator[Server]:
    """A server with the platform's settings; killed in the end."""
    port = ports.choose()
    shown = {**dict(platform.settings), "port": port, "postgres_owner_dsn": ""}
    plain = {k: v.get_secret_value() if isinstance(v, SecretStr) else v for k, v in shown.items() if v is not None}
    environment = {**os.environ, **{f"HALLMARK_{name.upper()}": str(value) for name, value in plain.items()}}
    made = Server(environment, log, port, await token_of(platform, "ci", "contributor"))
    await made.start()
    yield made
    await made.kill()


@pytest.fixture
async def server(platform: Platform, tmp_path: Path) -> AsyncIterator[Server]:
    async with started(platform, tmp_path / "server.log") as made:
        yield made


@dataclass(frozen=True)
class Wanted:
    """A version with one file that is to come."""

    ref: str
    content: bytes

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    def path(self, way: str) -> str:
        return f"/v1/versions/{self.ref}/{way}/w.bin"


async def declare(server: Server, number: int) -> Wanted:
    wanted = Wanted(f"model:m@1.0.{number}", os.urandom(SIZE))
    file = {"name": "w.bin", "digest": wanted.digest, "size": SIZE}
    async with server.client() as client:
        (await client.post("/v1/versions", json={"ref": wanted.ref, "files": [file]})).raise_for_status()
    return wanted


async def killing(server: Server, content: bytes, share: float) -> AsyncIterator[bytes]:
    """The content, up to where the server is killed."""
    last = int(share * len(content))
    for start in range(0, last, CHUNK):
        yield content[start : min(start + CHUNK, last)]
    await server.kill()
    yield content[last:]


async def is_right(server: Server, wanted: Wanted) -> bool:
    async with server.client() as client:
        return (await client.get(wanted.path("files"))).content == wanted.content


@pytest.mark.parametrize("artifact_store", ["folder", "s3"], indirect=True)
async def test_a_resumable_upload_goes_on_after_a_kill_at_what_came(server: Server, platform: Platform) -> None:
    kept = []
    for number, share in enumerate(KILLED_AT):
        wanted = await declare(server, number)
        async with server.client() as client:
            broken, first = killing(server, wanted.content, share), {"upload-offset": "0"}
            with pytest.raises(httpx.TransportError):
                await client.patch(wanted.path("uploads"), content=broken, headers=first)
        await server.start()
        async with server.client() as client:
            offset = int((await client.head(wanted.path("uploads"))).headers["upload-offset"])
            assert offset <= SIZE
            kept.append(offset)
            rest = await client.patch(
                wanted.path("uploads"), content=wanted.content[offset:], headers={"upload-offset": str(offset)}
            )
            assert rest.status_code == 200
        assert await is_right(server, wanted)
    assert kept[0] == 0
    assert max(kept) > 0
    assert await forget_uploads(platform.objects, datetime.now(UTC) + timedelta(days=1)) == 0


@pytest.mark.parametrize("artifact_store", ["folder", "s3"], indirect=True)
async def test_a_plain_upload_that_a_kill_broke_off_leaves_nothing_to_be_read(
    server: Server, platform: Platform
) -> None:
    for number, share in enumerate(KILLED_AT):
        wanted = await declare(server, number)
        async with server.client() as client:
            with pytest.raises(httpx.TransportError):
                await client.put(wanted.path("files"), content=killing(server, wanted.content, share))
        await server.start()
        assert not await platform.objects.has(wanted.digest)
        async with server.client() as client:
            assert (await client.get(wanted.path("files"))).status_code == 404
            assert (await client.put(wanted.path("files"), content=wanted.content)).status_code == 200
        assert await is_right(server, wanted)
    later = datetime.now(UTC) + timedelta(days=1)
    await forget_uploads(platform.objects, later)
    assert await forget_uploads(platform.objects, later) == 0
