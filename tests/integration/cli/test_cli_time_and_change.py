"""Past states and rebuilt views as a person meets them: API, SDK and command line against one running server."""

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hallmark import Client
from registry_core.events import Event, NewEvent, Origin
from registry_core.events.governance import AccountCreated, PolicyActivated, RolesChanged
from registry_core.events.lifecycle import VersionBecameCandidate
from registry_core.events.versions import VersionRegistered
from registry_core.identity import account_stream
from registry_core.service import Platform
from registry_core.settings import Settings
from registry_core.store import ANY, Append
from registry_core.values import File, Metadata, policy_stream
from support import served, token_of

HALLMARK = Path(sys.executable).with_name("hallmark")
DIGEST = "sha256:" + "a" * 64
REF = "model:risk@1.0.0"
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Server:
    platform: Platform
    environment: Mapping[str, str]

    @property
    def client(self) -> Client:
        return Client(self.environment["HALLMARK_URL"], self.environment["HALLMARK_TOKEN"])

    async def api(self, path: str, **bounds: str) -> Any:
        headers = {"Authorization": f"Bearer {self.environment['HALLMARK_TOKEN']}"}
        async with httpx.AsyncClient(base_url=self.environment["HALLMARK_URL"], headers=headers) as http:
            answer = await http.get(path, params=bounds)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def command(self, *arguments: str) -> Any:
        """The JSON that a command prints."""
        return json.loads(await asyncio.to_thread(self._run, *arguments, "--json"))

    def _run(self, *arguments: str) -> str:
        done = subprocess.run([HALLMARK, *arguments], env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def watched(self, *arguments: str) -> str:
        """What a command shows a person who watches it: what goes to standard error, a terminal."""
        ours, theirs = pty.openpty()
        with subprocess.Popen([HALLMARK, *arguments], env=self.environment, stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            shown = b""
            while chunk := _read(ours):
                shown += chunk
        os.close(ours)
        assert process.returncode == 0, shown
        return shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux's way to say that nobody writes any more
        return b""


@pytest.fixture
async def server(settings: Settings, tmp_path: Path) -> AsyncIterator[Server]:
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with served(alone, ["ledger", "ingestion", "approval", "console"]) as (platform, url):
        token = await token_of(platform, "root", "admin", "auditor")
        environment = {"HALLMARK_URL": url, "HALLMARK_TOKEN": token, "XDG_CONFIG_HOME": str(tmp_path), "COLUMNS": "200"}
        yield Server(platform, {**os.environ, **environment})


@dataclass(frozen=True, slots=True)
class Past:
    """How one thing was: a first state of two days ago, and a second of yesterday that was recorded just now."""

    stream: str
    first: Event
    second: Event
    path: str
    sdk: Callable[[Client], Callable[..., Any]]
    command: tuple[str, ...]
    said: Callable[[Any], Any]
    before: Any
    after: Any


def registered(owner: str) -> VersionRegistered:
    files = (File(name="w", digest=DIGEST),)
    return VersionRegistered(ref=REF, digest=DIGEST, files=files, metadata=Metadata(owner=owner), registered_by="ci")


def activated(version: str) -> PolicyActivated:
    return PolicyActivated(name="house", version=version, digest=DIGEST, document="rules: []", activated_by="lee")


CANDIDATE = VersionBecameCandidate(ref=REF, promotion="p1")
THINGS = {
    "a version": Past(
        REF, registered("dana"), CANDIDATE, f"/v1/versions/{REF}", lambda c: lambda **at: c.version(REF, **at),
        ("status", REF), lambda found: found["state"], "draft", "candidate",
    ),
    "a model": Past(
        REF, registered("dana"), CANDIDATE, "/v1/assets/model:risk", lambda c: lambda **at: c.asset("model:risk", **at),
        ("status", "model:risk"), lambda found: found["versions"][0]["state"], "draft", "candidate",
    ),
    "a policy": Past(
        policy_stream("house"), activated("1.0.0"), activated("2.0.0"), "/v1/policies/house/activation",
        lambda c: lambda **at: c.policy_activation("house", **at), ("policy", "show", "house"),
        lambda found: found["version"], "1.0.0", "2.0.0",
    ),
    "roles": Past(
        account_stream("dana"), RolesChanged(account="dana", roles=("viewer",)),
        RolesChanged(account="dana", roles=("manager",)), "/v1/accounts/dana",
        lambda c: lambda **at: c.account("dana", **at), ("account", "show", "dana"),
        lambda found: found["roles"], ["viewer"], ["manager"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("thing", THINGS)
async def test_api_sdk_and_command_line_tell_the_same_past(server: Server, thing: str) -> None:
    past, now = THINGS[thing], datetime.now(UTC)
    if thing == "roles":
        await record(
            server.platform, past.stream, AccountCreated(account="dana", kind="human", person="p-1"), now - 9 * DAY
        )
    known = await record(server.platform, past.stream, past.first, now - 2 * DAY)
    await record(server.platform, past.stream, past.second, now - DAY)
    for bounds, expected in (
        ({}, past.after),
        ({"as_of": now - 1.5 * DAY}, past.before),
        ({"as_of": now - DAY}, past.after),
        ({"known_at": known}, past.before),
        ({"as_of": now - DAY, "known_at": known}, past.before),
    ):
        for found in await asked(server, past, bounds):
            assert past.said(found) == expected, bounds


async def record(platform: Platform, stream: str, data: Event, occurred_at: datetime) -> datetime:
    """When the store says that it was recorded."""
    origin = Origin(actor="ci", occurred_at=occurred_at, correlation_id=uuid4())
    event = NewEvent(id=uuid4(), data=data, origin=origin)
    await platform.store.append(Append(stream, [event], ANY))
    assert await platform.store.wait_sealed(event.id, 20) is not None
    return (await platform.store.read_streams([stream]))[stream][-1].recorded_at


async def asked(server: Server, past: Past, bounds: Mapping[str, datetime]) -> list[Any]:
    """The answers of the API, the SDK and, where both bounds are given or none is, the command line: it is slow."""
    texts = {name: at.isoformat() for name, at in bounds.items()}
    options = [part for name, at in texts.items() for part in (f"--{name.replace('_', '-')}", at)]
    with server.client as client:
        sdk = await asyncio.to_thread(lambda: past.sdk(client)(**bounds))
    told = [await server.command(*past.command, *options)] if len(bounds) != 1 else []
    return [await server.api(past.path, **texts), sdk, *told]


async def test_views_are_listed_rebuilt_and_switched_with_progress(server: Server) -> None:
    await record(server.platform, REF, registered("dana"), datetime.now(UTC))
    listed = await server.command("projections", "list", "findings")
    assert [(row["table"], row["state"]) for row in listed] == [("findings__v1", "live")]

    shown = await asyncio.to_thread(server.watched, "projections", "rebuild", "findings")
    head = (await server.command("projections", "list", "findings"))[0]["head"] + 1
    assert "findings__v1_g2: " in shown, "the bar names the table and its state"
    assert f"/{head}" in shown, "and counts events"
    assert "hallmark projections switch findings" in shown

    shown = await asyncio.to_thread(server.watched, "projections", "switch", "findings")
    assert "views.findings shows findings__v1_g2" in shown
    states = {row["table"]: row["state"] for row in await server.command("projections", "list", "findings")}
    assert states == {"findings__v1": "kept", "findings__v1_g2": "live"}
