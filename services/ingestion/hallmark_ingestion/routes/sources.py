"""Systems that feed the registry: connected, tried, given new secrets, disconnected. For administrators."""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any

from litestar import Request, get, post, put
from pydantic import Field
from registry_core import inbox
from registry_core.http import Caller
from registry_core.inbox import Tally
from registry_core.problems import invalid
from registry_core.service import Platform
from registry_core.source_polls import LastPoll, last_polls
from registry_core.sources import Source, all_sources, find_source
from registry_core.store.source_secrets import credentials_set
from registry_core.values import Value, storable

from hallmark_ingestion.sources.connecting import (
    Changed,
    Credential,
    Disconnection,
    NewSource,
    Rotation,
    connect,
    disconnect,
    give_credential,
    required,
    rotate,
)
from hallmark_ingestion.sources.receivers import RECEIVERS
from hallmark_ingestion.sources.receivers.base import Sample
from hallmark_ingestion.sources.trying import try_out

AnyRequest = Request[Any, Any, Any]
_HIDDEN = "<the secret, shown when it was made>"


class Trial(Value):
    """A delivery as it was seen elsewhere; without body, a sample is made."""

    headers: Annotated[dict[str, str], Field(max_length=200, default_factory=dict)]
    body: str | None = None
    body_base64: str | None = None
    """In place of `body`, for bytes that are no text."""


@post("/v1/sources", action="sources")
async def connect_source(data: NewSource, caller: Caller, request: AnyRequest) -> dict[str, Any]:
    """Take in what a system sends from now on. Its secret is shown this once, with what to paste there."""
    done = await connect(caller, data)
    if data.credential:
        await give_credential(caller, data.name, data.credential)
    return _shown(done, caller.platform, request)


@post("/v1/sources/{name:str}/rotate", action="sources", status_code=200)
async def rotate_secret(name: str, data: Rotation, caller: Caller, request: AnyRequest) -> dict[str, Any]:
    """A new secret, shown this once; the former one is taken until its grace is over."""
    _checked(await find_source(caller.platform.reader, name), name)
    return _shown(await rotate(caller, name, data), caller.platform, request)


@put("/v1/sources/{name:str}/credential", action="sources")
async def set_credential(name: str, data: Credential, caller: Caller) -> dict[str, Any]:
    """What the source is asked with: `user:password`, or a token; null takes it away. It is never shown."""
    _checked(await find_source(caller.platform.reader, name), name)
    await give_credential(caller, name, data.credential)
    return {"source": name, "credential_set_at": (await credentials_set(caller.platform.pool)).get(name)}


@post("/v1/sources/{name:str}/disconnect", action="sources", status_code=200)
async def disconnect_source(name: str, data: Disconnection, caller: Caller) -> dict[str, Any]:
    """Take in nothing more of it. What it sent stays in the inbox until its time is over."""
    _checked(await find_source(caller.platform.reader, name), name)
    done = await disconnect(caller, name, data.reason)
    return {**_document(done.source), "log_index": done.log_index}


@post("/v1/sources/{name:str}/test", action="sources", status_code=200)
async def test_source(name: str, data: Trial, platform: Platform) -> dict[str, Any]:
    """Send a sample, or what was pasted, through proof and reading. Nothing comes of it, and nothing is kept."""
    source = required(await find_source(platform.reader, name), name)
    steps = await try_out(platform, source, _pasted(data))
    return {"source": name, "test": True, "ok": all(s.ok for s in steps), "steps": [asdict(s) for s in steps]}


@get("/v1/sources", action="sources")
async def list_sources(platform: Platform) -> list[dict[str, Any]]:
    """Every source, with what came of its deliveries."""
    known = await _asides(platform)
    return [_document(source, known.of(source.source)) for source in await all_sources(platform.pool)]


@get("/v1/sources/{name:str}", action="sources")
async def show_source(name: str, platform: Platform, request: AnyRequest) -> dict[str, Any]:
    """One of them, with what to do at its side; the secret is not shown again."""
    source = _checked(await find_source(platform.reader, name), name)
    known = await _asides(platform, name)
    return {**_document(source, known.of(name)), **_instructions(source, platform, request, _HIDDEN)}


def _checked(source: Source, name: str) -> Source:
    return source if source.version >= 0 else required(source, name)


@dataclass(frozen=True, slots=True)
class Asides:
    """What is kept of sources beside the log, by source."""

    tallies: Mapping[str, Tally]
    credentials: Mapping[str, datetime]
    polls: Mapping[str, LastPoll]

    def of(self, source: str) -> dict[str, Any]:
        tally, poll = self.tallies.get(source), self.polls.get(source)
        return {
            "last_delivery_at": tally.last_at if tally else None,
            "deliveries": dict(tally.counts) if tally else {},
            "credential_set_at": self.credentials.get(source),
            "last_poll": asdict(poll) if poll else None,
        }


async def _asides(platform: Platform, source: str | None = None) -> Asides:
    """Of every source, or at least of this one."""
    pool = platform.pool
    return Asides(await inbox.tallies(pool, source), await credentials_set(pool), await last_polls(pool))


def _document(source: Source, beside: Mapping[str, Any] | None = None) -> dict[str, Any]:
    about = {name: value for name, value in asdict(source).items() if name != "version"}
    return {**about, **(Asides({}, {}, {}).of(source.source) if beside is None else beside)}


def _shown(done: Changed, platform: Platform, request: AnyRequest) -> dict[str, Any]:
    """With the secret only where one was made."""
    told = {"secret": done.secret} if done.secret else {}
    instructions = _instructions(done.source, platform, request, done.secret or _HIDDEN)
    return {**_document(done.source), **told, **instructions, "log_index": done.log_index}


def _instructions(source: Source, platform: Platform, request: AnyRequest, secret: str) -> dict[str, Any]:
    base = (platform.settings.public_url or str(request.base_url)).rstrip("/")
    url = f"{base}/v1/sources/{source.source}/deliveries"
    setup = RECEIVERS[source.kind].setup(url, secret)
    return {"webhook_url": url, "steps": list(setup.steps), "paste": dict(setup.paste)}


def _pasted(data: Trial) -> Sample | None:
    if data.body is None and data.body_base64 is None:
        return None
    if not storable([data.body, data.headers]):
        raise invalid("a text holds a NUL or half a surrogate pair", "paste what the source sent", "/body")
    try:
        body = (data.body or "").encode() if data.body_base64 is None else b64decode(data.body_base64, validate=True)
    except ValueError as error:
        raise invalid(f"not base64: {error}", "encode the body's bytes as base64", "/body_base64") from error
    return Sample({name.lower(): value for name, value in data.headers.items()}, body)


ROUTES = [connect_source, rotate_secret, set_credential, disconnect_source, test_source, list_sources, show_source]
