"""A server that is a function, a home that is empty, and packs to verify."""

import io
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import get_args
from uuid import UUID

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hallmark.cli import app
from registry_core.events import RecordedEvent
from registry_core.proofs.envelope import leaf_bytes
from registry_core.proofs.merkle import TreeHead, leaf_hash
from registry_core.proofs.note import Signer, sign_checkpoint
from registry_core.proofs.pack import Header, PackWriter
from support_sdk import Connect, Kind
from support_sdk import connect as connect_to
from typer.testing import CliRunner
from unit.cli.fakes import URL, Export, FakeServer, FakeTime, Hallmark, Refusing

ORIGIN = "hallmark.example/log"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of the real account: neither variables nor credentials."""
    for name in ("HALLMARK_URL", "HALLMARK_TOKEN", "HALLMARK_RETRY_SECONDS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """Every client of the SDK talks to it."""
    fake = FakeServer()
    answering(monkeypatch, fake)
    monkeypatch.setenv("HALLMARK_URL", URL)
    monkeypatch.setenv("HALLMARK_TOKEN", "hmk_alice_1_2")
    return fake


def answering(monkeypatch: pytest.MonkeyPatch, server: Callable[[httpx.Request], httpx.Response]) -> None:
    """Every client of the SDK talks to this function."""
    for kind in (httpx.Client, httpx.AsyncClient):
        monkeypatch.setattr(httpx, kind.__name__, partial(_made, kind, server))


def _made(kind: type, server: Callable[[httpx.Request], httpx.Response], **options: object) -> object:
    return kind(**{**options, "transport": httpx.MockTransport(server)})


@pytest.fixture(scope="session", params=get_args(Kind))
def connect(request: pytest.FixtureRequest) -> Connect:
    """`with connect(url, token, time=time) as hallmark`: once each client."""
    return partial(connect_to, request.param)


@pytest.fixture
def hallmark() -> Hallmark:
    """Run the command line: `hallmark("status", ref)`; it retries for no time unless told."""
    return lambda *arguments, **options: CliRunner().invoke(
        app, ["--retry-seconds", "0", *map(str, arguments)], **options
    )


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


def problem(status: int, **members: object) -> httpx.Response:
    document = {"type": "urn:hallmark:problem:x", "title": "X", "status": status, **members}
    return httpx.Response(status, json=document, headers={"content-type": "application/problem+json"})


@pytest.fixture
def refusing() -> Refusing:
    """`refusing(409, detail=…)`: an RFC 9457 answer."""
    return problem


def _event(index: int) -> RecordedEvent:
    body = f'{{"number":{index}}}'.encode()
    at = datetime(2026, 11, 21, 10, 0, index, tzinfo=UTC)
    return RecordedEvent(
        id=UUID(int=index), stream="model:credit-risk@1.0.0", version=index, type="io.hallmark.version.registered.v1",
        body=body, body_sha256=sha256(body).digest(), actor="alice", occurred_at=at, recorded_at=at,
        correlation_id=UUID(int=index), log_index=index,
    )  # fmt: skip


@pytest.fixture(scope="session")
def export() -> Export:
    """An export of a log of five events."""
    signer = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    events, stream = [_event(index) for index in range(5)], io.BytesIO()
    leaves = [leaf_hash(leaf_bytes(event)) for event in events]

    def note(size: int) -> str:
        return sign_checkpoint(ORIGIN, size, TreeHead().append(leaves[:size])[0].root, signer)

    header = Header("log", ORIGIN, datetime(2026, 11, 21, tzinfo=UTC), ORIGIN, (signer.vkey,))
    writer = PackWriter(stream, header, signer)
    for event in events:
        if event.log_index == 3:
            writer.add_checkpoint(note(3))
        writer.add_event(event)
    writer.add_checkpoint(note(5))
    writer.finish()
    return Export(stream.getvalue(), signer.vkey, note(3))
