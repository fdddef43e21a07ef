"""Every kind of secret goes through the real program, tracing and at log level debug; none of them comes out again."""

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from secrets import token_bytes, token_hex
from typing import Any, Final
from urllib.parse import quote

import asyncpg
import httpx
import pytest
from registry_core.local import ports
from registry_core.service import Platform, open_platform
from registry_core.settings import Settings
from support import token_of, until
from support_s3 import bucket

HALLMARK: Final = Path(sys.executable).with_name("hallmark")
REF: Final = "model:quiet@1.0.0"
pytestmark = pytest.mark.timeout(240)


class Collector(HTTPServer):
    """Where spans go; what it was sent is in `received`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[bytes] = []


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        self.server.received.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: pytest's output is no log of ours."""


@contextmanager
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Secrets:
    """What must not be seen, by what it is; tokens have a part of their own that is compared."""

    known: dict[str, str] = field(default_factory=dict)

    def add(self, what: str, secret: str) -> str:
        self.known[what] = secret
        return secret

    def in_(self, text: str) -> set[str]:
        return {what for what, secret in self.known.items() if secret in text}


@dataclass
class Program:
    """`hallmark serve all`, with secrets everywhere."""

    url: str
    platform: Platform
    secrets: Secrets
    log: Path
    spans: Collector
    answers: list[str] = field(default_factory=list)

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url, timeout=30) as client:
            answer = await client.request(method, path, **options)
        self.answers.append(answer.text)
        return answer

    async def token(self, account: str, *roles: str) -> str:
        token = await token_of(self.platform, account, *roles)
        self.secrets.add(f"token of {account}", token.rsplit("_", 1)[1])
        return token


@pytest.fixture(params=["json", "console"])
async def program(
    request: pytest.FixtureRequest, settings: Settings, object_server: str, tmp_path: Path
) -> AsyncIterator[Program]:
    secrets = Secrets()
    with collector() as spans:
        environment = _environment(settings, secrets, bucket(object_server, tmp_path.name), spans.server_port)
        async with _served(environment | {"HALLMARK_LOG_FORMAT": request.param}, tmp_path, settings) as (url, log):
            platform = await open_platform(settings)
            try:
                _add_keys(secrets, settings.data_dir)
                yield Program(url, platform, secrets, log, spans)
            finally:
                platform.terminate()


def _environment(settings: Settings, secrets: Secrets, objects: dict[str, Any], otlp: int) -> dict[str, str]:
    def dsn(name: str, text: str) -> str:
        scheme, _, rest = text.partition("://")
        role, _, host = rest.partition("@")
        return f"{scheme}://{role}:{secrets.add(name, f'dsn-{token_hex(12)}')}@{host}"

    os_names = {name: value for name, value in os.environ.items() if not name.startswith("HALLMARK_")}
    return {
        **os_names,
        "HALLMARK_POSTGRES_DSN": dsn("service's password", settings.postgres_dsn.get_secret_value()),
        "HALLMARK_POSTGRES_LEDGER_DSN": dsn("ledger's password", settings.postgres_ledger_dsn.get_secret_value()),
        "HALLMARK_POSTGRES_OWNER_DSN": dsn("owner's password", settings.postgres_owner_dsn.get_secret_value()),
        "HALLMARK_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "HALLMARK_KAFKA_FLAVOUR": settings.kafka_flavour,
        "HALLMARK_KAFKA_PASSWORD": secrets.add("kafka's password", f"kafka-{token_hex(12)}"),
        "HALLMARK_PRIVACY_KEY": secrets.add("privacy key", base64.b64encode(token_bytes(32)).decode()),
        "HALLMARK_OBJECTS_URL": objects["objects_url"],
        "HALLMARK_OBJECTS_ENDPOINT": objects["objects_endpoint"],
        "HALLMARK_OBJECTS_ACCESS_KEY": objects["objects_access_key"],
        "HALLMARK_OBJECTS_SECRET_KEY": secrets.add("store's key", objects["objects_secret_key"].get_secret_value()),
        "HALLMARK_DATA_DIR": str(settings.data_dir),
        "HALLMARK_OTLP_ENDPOINT": f"http://127.0.0.1:{otlp}",
        "HALLMARK_LOG_LEVEL": "debug",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }


@asynccontextmanager
async def _served(environment: dict[str, str], folder: Path, settings: Settings) -> AsyncIterator[tuple[str, Path]]:
    with ports.listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 - starting it takes no time
            [HALLMARK, "serve", "all"], env=environment | {"HALLMARK_PORT": str(port)}, stdout=output, stderr=output,
            cwd=folder,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        await until(lambda: _ready(url, process, log), 60)
        yield url, log
    finally:
        process.terminate()
        process.wait(30)


async def _ready(url: str, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"{url}/health/ready")).status_code == 200
        except httpx.TransportError:
            return False


def _add_keys(secrets: Secrets, folder: Path) -> None:
    """Signing keys, by a line of each file."""
    for path in sorted((folder / "keys").iterdir()):
        lines = [line for line in path.read_text(errors="replace").splitlines() if line and "-----" not in line]
        secrets.add(f"key {path.name}", lines[0])
    assert len(secrets.known) >= 8


async def succeed(program: Program, token: str) -> None:
    bearer = {"authorization": f"Bearer {token}"}
    cookie = {"cookie": f"hallmark_token={token}"}
    version = {"ref": REF, "files": [{"name": "w.bin", "digest": SHA_OF_NOTHING, "size": 0}]}
    for answer in (
        await program.ask("POST", "/v1/versions", json=version, headers=bearer),
        await program.ask("PUT", f"/v1/versions/{REF}/files/w.bin", content=b"", headers=bearer),
        await program.ask("GET", "/v1/whoami", headers=bearer),
        await program.ask("GET", "/", headers=cookie),
        await program.ask("GET", f"/login?token={token}&next=/reviews"),
        await program.ask("POST", "/login", data={"token": token}),
        await program.ask("GET", "/v1/views/version_overview", headers=bearer),
    ):
        assert answer.status_code < 400, answer.text


SHA_OF_NOTHING: Final = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


async def fail(program: Program, token: str) -> None:
    """As callers do: a token in the wrong place, cut off, of another account, with a form that is refused."""
    bearer = {"authorization": f"Bearer {token}"}
    asked = [
        await program.ask("GET", "/v1/whoami", headers={"authorization": f"Bearer {token}0"}),
        await program.ask("GET", "/v1/whoami", headers={"authorization": f"Basic {token}"}),
        await program.ask("GET", "/v1/whoami", headers={"cookie": f"hallmark_token={token}x"}),
        await program.ask("GET", f"/v1/whoami?token={token}"),
        await program.ask("GET", f"/login?token={token}x"),
        await program.ask("POST", "/login", data={"token": f"{token}x", "next": "/"}),
        await program.ask("POST", "/v1/versions", json={"ref": 1}, headers=bearer),
        await program.ask("POST", "/v1/versions", content=b"{", headers=bearer | {"content-type": "application/json"}),
        await program.ask("GET", "/v1/versions/unknown", headers=bearer),
        await program.ask("PUT", "/v1/policies/baseline", content=b"x", headers=bearer),
        await program.ask("POST", "/v1/events", content=b"x", headers=bearer),
        await program.ask("GET", "/v1/views/version_overview?nonsense=1", headers=bearer),
        await program.ask("DELETE", "/v1/whoami", headers=bearer),
        await program.ask("GET", "/nowhere", headers=bearer),
    ]
    assert {answer.status_code // 100 for answer in asked} == {4}


async def break_down(program: Program, token: str, owner: asyncpg.Connection) -> None:
    """Errors that nobody foresaw, with their tracebacks."""
    await owner.execute("alter schema views rename to hidden")
    bearer = {"authorization": f"Bearer {token}", "cookie": f"hallmark_token={token}"}
    asked = [
        await program.ask("GET", "/", headers=bearer),
        await program.ask("GET", f"/?token={token}&q={quote(token)}", headers=bearer),
        await program.ask("GET", "/v1/served", params={"customer": "c", "at": "2026-03-01T12:00:00Z"}, headers=bearer),
    ]
    await owner.execute("alter schema hidden rename to views")
    assert [answer.status_code for answer in asked] == [500] * 3


async def test_no_secret_is_logged_traced_told_or_set_aside(program: Program, owner: asyncpg.Connection) -> None:
    token = await program.token("dana", "contributor", "manager", "admin", "viewer")
    await succeed(program, token)
    await fail(program, token)
    await break_down(program, token, owner)

    async def traced() -> bool:
        return sum(b"/v1/served" in sent for sent in program.spans.received) > 0

    await until(traced)
    log = program.log.read_text()
    assert "request failed" in log
    assert "Traceback" in log
    assert program.secrets.in_(log) == set()
    for sent in program.spans.received:
        assert program.secrets.in_(sent.decode("latin-1")) == set()
    assert program.secrets.in_("\n".join(program.answers)) == set()
    kept = await owner.fetch("select row_to_json(d)::text, row_to_json(d)::jsonb->>'reason' from work.dead_letters d")
    jobs = await owner.fetch("select row_to_json(j)::text from work.jobs j")
    events = await owner.fetch("select convert_from(body, 'utf-8') from log.events where body is not null")
    for row in (*kept, *jobs, *events):
        assert program.secrets.in_(json.dumps(list(map(str, row)))) == set()
