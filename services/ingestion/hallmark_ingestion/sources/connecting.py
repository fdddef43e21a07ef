"""Sources are connected, given new secrets and disconnected: event and secret in one transaction."""

import secrets as random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

import structlog
from pydantic import Field, StringConstraints
from registry_core.events import Event, RecordedEvent, derived_id
from registry_core.events.sources import (
    SourceConnected,
    SourceDisconnected,
    SourceKind,
    SourceName,
    SourceSecretChanged,
)
from registry_core.handlers import fold
from registry_core.http import Caller
from registry_core.identity import find_account
from registry_core.problems import Problem, conflict, invalid, not_found
from registry_core.sources import Source, find_source, source_stream
from registry_core.store.appending import append_batch
from registry_core.store.connections import Connection
from registry_core.store.model import Append, Conflict
from registry_core.store.postgres import read_streams
from registry_core.telemetry import APPENDED
from registry_core.values import Account as AccountId
from registry_core.values import Text, Value

from hallmark_ingestion.external.asking import same_origin
from hallmark_ingestion.external.observing import KINDS

log = structlog.get_logger()

ATTEMPTS: Final = 20
LONGEST_GRACE: Final = 90 * 86_400
Secret = Annotated[str, StringConstraints(pattern=r"^[!-~]{16,256}$")]
"""Printable ASCII without spaces: it goes through headers, addresses and shells."""
CredentialText = Annotated[str, StringConstraints(pattern=r"^[!-~]([ -~]{0,4094}[!-~])?$")]
"""`user:password`, or a token: printable ASCII, as HTTP's headers hold it."""
Url = Annotated[str, StringConstraints(pattern=r"^(https?://[!-~]{1,1000})?$")]


class NewSource(Value):
    """What an administrator says of a source."""

    name: SourceName
    kind: SourceKind
    account: AccountId
    url: Url = ""
    secret: Annotated[Secret | None, Field(repr=False)] = None
    """None: one is made."""
    credential: Annotated[CredentialText | None, Field(repr=False)] = None
    """What it is asked with at `url`. None: as before; nothing, where its address is another server."""


class Credential(Value):
    """What a source is asked with; None: nothing more."""

    credential: Annotated[CredentialText | None, Field(repr=False)]


class Rotation(Value):
    secret: Annotated[Secret | None, Field(repr=False)] = None
    grace_seconds: Annotated[float, Field(ge=0, le=LONGEST_GRACE)] | None = None
    """How long the former secret is taken still. None: as the settings say."""


class Disconnection(Value):
    reason: Text


@dataclass(frozen=True, slots=True)
class Change:
    """What a request comes to."""

    event: "Happening | None"
    """None: all is as it was asked for."""
    secret: str | None = field(default=None, repr=False)
    """A new one to put in force."""
    former_until: datetime | None = None
    """None: at once no more."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A source as it is then."""

    source: Source
    secret: str | None = field(repr=False)
    """The new one, to be shown to whoever asked, this once."""
    log_index: int | None


Happening = SourceConnected | SourceSecretChanged | SourceDisconnected
Plan = Callable[[Source], Change]


class _MovedError(Exception):
    """The source changed between being read and being changed."""


async def connect(caller: Caller, new: NewSource) -> Changed:
    """Again with other values, those hold; its secret stays unless the kind changes or one is given. Raises Problem."""
    if new.kind in KINDS and not new.url:
        fix = "name the server: `--url https://…`; its webhooks are hints, and what is true is asked there"
        raise invalid(f"a source of the kind {new.kind} has an address where it is asked", fix, "/url")
    await _check_account(caller, new.account)
    event = SourceConnected(source=new.name, kind=new.kind, account=new.account, url=new.url, connected_by=caller.name)

    def plan(source: Source) -> Change:
        kept = source.connected and source.kind == new.kind and new.secret is None
        about = (source.kind, source.account, source.url)
        same = kept and about == (new.kind, new.account, new.url)
        return Change(None if same else event, None if kept else new.secret or made_secret())

    return await _change(caller, event, plan)


async def rotate(caller: Caller, name: str, rotation: Rotation) -> Changed:
    """A new secret; the former one is taken for a while, so that nothing is lost on the way. Raises Problem."""
    grace = rotation.grace_seconds
    seconds = caller.platform.settings.source_grace_seconds if grace is None else grace
    event = SourceSecretChanged(source=name, changed_by=caller.name)
    until = caller.platform.clock() + timedelta(seconds=seconds)

    def plan(source: Source) -> Change:
        required(source, name)
        return Change(event, rotation.secret or made_secret(), until)

    return await _change(caller, event, plan)


async def disconnect(caller: Caller, name: str, reason: str) -> Changed:
    """Nothing of it is taken any more, and its secrets are gone. Raises Problem."""
    event = SourceDisconnected(source=name, reason=reason, disconnected_by=caller.name)
    return await _change(caller, event, lambda source: Change(event if required(source, name) else None))


async def give_credential(caller: Caller, name: str, text: str | None) -> None:
    """What the source is asked with from now on; None: nothing. Raises Problem."""
    platform = caller.platform
    source = required(await find_source(platform.reader, name), name)
    if source.kind not in KINDS:
        raise invalid(f"a source of the kind {source.kind} is asked nothing", f"those of {', '.join(KINDS)} are")
    if text is None:
        await platform.source_secrets.forget_credential(platform.pool, name)
    else:
        await platform.source_secrets.keep_credential(platform.pool, name, text, platform.clock())
    log.info("credential of a source changed", source=name, by=caller.name, given=text is not None)


def made_secret() -> str:
    """256 random bits."""
    return random.token_urlsafe(32)


def required(source: Source, name: str) -> Source:
    """Raises Problem 404 for a source that is not connected."""
    if not source.connected:
        raise not_found(f"a connected source {name[:64]}", "connect it: `hallmark source connect`")
    return source


async def _check_account(caller: Caller, name: str) -> None:
    """Nobody's own account: what a source says is not said by a person. Raises Problem."""
    account = await find_account(caller.platform.reader, name)
    if account.version < 0:
        fix = f"create it: `hallmark account create {name} --service --role contributor`"
        raise not_found(f"the account {name}", fix)
    if account.kind != "service":
        raise invalid(f"{name} is a person's account", "name a service account: a source is no person", "/account")


async def _change(caller: Caller, event: Happening, plan: Plan) -> Changed:
    """`event` is what the request would write: a repeated request is known by it."""
    for _ in range(ATTEMPTS):
        try:
            source, secret, written = await _attempt(caller, event, plan)
        except _MovedError:
            continue
        index = await caller.platform.store.wait_sealed(written) if written else None
        return Changed(source, secret, index)
    raise conflict(f"the source {event.source} changed all the while", "try again")


async def _attempt(caller: Caller, event: Happening, plan: Plan) -> tuple[Source, str | None, UUID | None]:
    """The source as it is then, a new secret to show, and the event that says so."""
    stream = source_stream(event.source)
    made, secret_id = derived_id(caller.seed, stream, 0), derived_id(caller.seed, stream, "secret")
    platform = caller.platform
    secrets, now = platform.source_secrets, platform.clock()
    async with platform.pool.acquire() as connection, connection.transaction():
        events = (await read_streams(connection, [stream]))[stream]
        source = fold(Source(), events)
        if earlier := next((known for known in events if known.id == made), None):
            _same(earlier, event)
            return source, await secrets.find(connection, event.source, secret_id), made
        change = plan(source)
        if isinstance(change.event, SourceConnected) and not same_origin(source.url, change.event.url):
            await secrets.forget_credential(connection, event.source)  # it was given for the other server
        if change.event:
            await _append(connection, caller, Append(stream, caller.events(stream, [change.event]), source.version))
        if isinstance(change.event, SourceDisconnected):
            await secrets.forget(connection, event.source)
        if change.secret:
            former_until = change.former_until or now
            await secrets.replace(connection, event.source, (secret_id, change.secret), now, former_until)
        after = fold(Source(), (await read_streams(connection, [stream]))[stream])
    platform.store.on_append()
    return after, change.secret, made if change.event else None


def _same(earlier: RecordedEvent, event: Event) -> None:
    if earlier.data != event:
        raise Problem(
            422, "idempotency-key-reused", "this Idempotency-Key was sent before, with another request",
            fix="send the same request again, or take a new key for a new one", field="Idempotency-Key",
        )  # fmt: skip


async def _append(connection: Connection, caller: Caller, append: Append) -> None:
    (result,) = await append_batch(connection, [append])
    if isinstance(result, Conflict):
        raise _MovedError
    for event in append.events:
        APPENDED.labels(event.data.type).inc()
