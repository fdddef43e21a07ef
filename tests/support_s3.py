"""A real S3 server for tests."""

import base64
import hashlib
import hmac
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr
from registry_core.local import ports
from support import until


@asynccontextmanager
async def s3_server(folder: Path) -> AsyncIterator[str]:
    """SeaweedFS from its wheel, on loopback; its endpoint. The account is `test`, `test-secret`."""
    for attempt in range(5):  # a port that was free may be taken by the time the server asks for it
        port = ports.choose()
        command = _weed(folder / str(attempt), port)
        with subprocess.Popen(  # noqa: ASYNC220 - starting a process does not wait
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_CREDENTIALS, start_new_session=True
        ) as server:
            try:
                if await _came_up(server, port) or attempt == 4:
                    yield f"http://127.0.0.1:{port}"
                    return
            finally:
                server.kill()  # it takes its time over anything gentler, and its data is thrown away


_CREDENTIALS = {**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test-secret"}


def _weed(folder: Path, port: int) -> list[str]:
    folder.mkdir()
    parts = (
        *("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"),
        "s3.port.grpc",
    )
    return [
        str(Path(sys.executable).with_name("weed")),
        *("server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", f"-s3.port={port}"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=4", "-master.volumeSizeLimitMB=128"),
        *(f"-{part}={ports.choose()}" for part in parts),  # unless told, 10,000 above another: perhaps no port at all
    ]


async def _came_up(server: subprocess.Popen[bytes], port: int) -> bool:
    with suppress(TimeoutError):
        await until(lambda: _ended_or_answers(server, port), seconds=20)
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


def locked_bucket(endpoint: str, name: str) -> None:
    """A bucket with object lock, in which every object is kept for a day, whoever asks."""
    url = f"{endpoint}/{name}"
    rule = (
        b"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>"
        b"<Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>"
    )
    with httpx.Client() as client:
        client.send(signed("PUT", url, x_amz_bucket_object_lock_enabled="true")).raise_for_status()
        md5 = base64.b64encode(hashlib.md5(rule).digest()).decode()
        client.send(signed("PUT", f"{url}?object-lock", rule, content_md5=md5)).raise_for_status()
