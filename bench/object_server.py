"""A real S3 server, for tests and benchmarks: SeaweedFS from its wheel, on loopback."""

import asyncio
import hashlib
import hmac
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr
from registry_core.local import ports


@asynccontextmanager
async def s3_server(folder: Path, volumes: int = 4) -> AsyncIterator[str]:
    """Its endpoint; it holds so many times 128 MB. The account is `test`, `test-secret`."""
    for attempt in range(5):  # a port that was free may be taken by the time the server asks for it
        port = ports.choose()
        command = _weed(folder / str(attempt), port, volumes)
        with subprocess.Popen(  # noqa: ASYNC220, S603 - starting a process does not wait; the command is ours
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_CREDENTIALS, start_new_session=True
        ) as server:
            try:
                if await _came_up(server, port) or attempt == 4:
                    yield f"http://127.0.0.1:{port}"
                    return
            finally:
                server.kill()  # it takes its time over anything gentler, and its data is thrown away


_CREDENTIALS = {**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test-secret"}


def _weed(folder: Path, port: int, volumes: int) -> list[str]:
    folder.mkdir(parents=True)
    parts = (
        *("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"),
        "s3.port.grpc",
    )
    return [
        str(Path(sys.executable).with_name("weed")),
        *("server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", f"-s3.port={port}"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", f"-volume.max={volumes}", "-master.volumeSizeLimitMB=128"),
        *(f"-{part}={ports.choose()}" for part in parts),  # unless told, 10,000 above another: perhaps no port at all
    ]


async def _came_up(server: subprocess.Popen[bytes], port: int) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(20):
            while not await _ended_or_answers(server, port):  # noqa: ASYNC110 - another process brings it about
                await asyncio.sleep(0.02)
    return server.poll() is None


async def _ended_or_answers(server: subprocess.Popen[bytes], port: int) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200
        except httpx.TransportError:
            return server.poll() is not None


def bucket(endpoint: str, prefix: str) -> dict[str, Any]:
    """Settings for artifacts under a prefix of the bucket `hallmark`, which is made where needed."""
    with httpx.Client() as client:
        client.send(signed("PUT", f"{endpoint}/hallmark"))  # 409 where it is there
    return {
        "objects_url": f"s3://hallmark/{prefix}",
        "objects_endpoint": endpoint,
        "objects_access_key": "test",
        "objects_secret_key": SecretStr("test-secret"),
    }


def as_texts(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings as environment variables have them."""
    return {k: v.get_secret_value() if isinstance(v, SecretStr) else str(v) for k, v in settings.items()}


def signed(method: str, url: str, content: bytes = b"", **headers: str) -> httpx.Request:
    """A request signed for S3 by the test's account (AWS Signature Version 4), for what obstore does not do."""
    parts, now = urlsplit(url), datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    query = "&".join(sorted(item if "=" in item else f"{item}=" for item in parts.query.split("&") if item))
    digest = hashlib.sha256(content).hexdigest()
    own = {"host": parts.netloc, "x-amz-content-sha256": digest, "x-amz-date": now}
    given = {name.replace("_", "-"): value for name, value in headers.items()} | own
    names, scope = ";".join(sorted(given)), f"{now[:8]}/us-east-1/s3/aws4_request"
    lines = "".join(f"{name}:{given[name]}\n" for name in sorted(given))
    canonical = f"{method}\n{parts.path}\n{query}\n{lines}\n{names}\n{digest}"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = b"AWS4test-secret"
    for step in (*scope.split("/"), text):
        key = hmac.digest(key, step.encode(), "sha256")
    how = f"AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    return httpx.Request(method, url, content=content, headers=given | {"authorization": how})
