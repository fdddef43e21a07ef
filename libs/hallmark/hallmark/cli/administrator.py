"""The first administrator, and the way back in. Needs the server's packages."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import asyncpg
from registry_core.access import known_action
from registry_core.events import Event, NewEvent, Origin
from registry_core.events.governance import AccountCreated, RolesChanged, TokenIssued
from registry_core.handlers import fold
from registry_core.identity import Account, Lifetimes, account_stream, new_token
from registry_core.local.errors import LocalStackError
from registry_core.service import Platform
from registry_core.settings import Settings
from registry_core.store.appending import append_once
from registry_core.store.model import NONE, Append, Conflict
from registry_core.store.postgres import read_streams

from hallmark.errors import HallmarkError

ADMIN: Final = "admin"
_ACTOR: Final = "service:local"
"""Whoever has the machine; in the log beside the token's label."""


async def first_token(platform: Platform) -> str | None:
    """Create the account `admin` with a token, in one append; None if it exists already."""
    stream = account_stream(ADMIN)
    if (await platform.store.read_streams([stream]))[stream]:
        return None
    until = Lifetimes.of(platform.settings).until("human", None, platform.clock())
    text, issued = new_token(ADMIN, until, "first start")
    created = AccountCreated(account=ADMIN, kind="human", person=ADMIN)
    events = [created, RolesChanged(account=ADMIN, roles=("admin",)), issued]
    (result,) = await platform.store.append(Append(stream, _new(events), NONE))
    return None if isinstance(result, Conflict) else text


@dataclass(frozen=True, slots=True)
class Wanted:
    """A token that is to be made on the machine."""

    account: str
    label: str
    expires_at: datetime | None
    actions: tuple[str, ...] | None
    assets: tuple[str, ...] | None
    lifetimes: Lifetimes


def issue_locally(
    account: str,
    data: Path | None,
    label: str,
    expires_at: datetime | None,
    *,
    actions: Sequence[str] | None = None,
    assets: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Issue a token straight into the log: who can do this owns the database anyway, and it is recorded."""
    settings = Settings()
    dsn = settings.postgres_dsn.get_secret_value() or _local_dsn(data or settings.data_dir)
    narrowed = (tuple(actions) if actions else None, tuple(assets) if assets else None)
    named = label or "issued on the machine"
    return asyncio.run(_issue(dsn, Wanted(account, named, expires_at, *narrowed, Lifetimes.of(settings))))


def _local_dsn(data: Path) -> str:
    from registry_core.local.stack import running_dsn  # noqa: PLC0415 - not installed where PostgreSQL is elsewhere

    return running_dsn(data)


async def _issue(dsn: str, wanted: Wanted) -> dict[str, Any]:
    try:
        connection = await asyncpg.connect(dsn, timeout=10)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise LocalStackError(
            f"the database does not let us in ({error}); run this while `hallmark up` runs, as the user that runs it"
        ) from error
    try:
        return await _append_token(connection, wanted)
    finally:
        await connection.close()


async def _append_token(connection: Any, wanted: Wanted) -> dict[str, Any]:
    account, stream = wanted.account, account_stream(wanted.account)
    state = fold(Account(), (await read_streams(connection, [stream]))[stream])
    if state.version < 0:
        fix = "create it: `hallmark account create`" if account != ADMIN else "start `hallmark up` once"
        raise HallmarkError("Not found", f"there is no account {account}", fix=fix)
    text, issued = _made(wanted, state)
    await append_once(connection, Append(stream, _new([issued])))
    return {"account": account, "token": text, "token_id": issued.token_id, "expires_at": issued.expires_at}


def _made(wanted: Wanted, state: Account) -> tuple[str, TokenIssued]:
    if state.closed:
        raise HallmarkError("Conflict", f"the account {wanted.account} is closed", fix="name another administrator's")
    try:
        until = wanted.lifetimes.until(state.kind, wanted.expires_at, datetime.now(UTC))
        actions = tuple(map(known_action, wanted.actions)) if wanted.actions else None
        return new_token(wanted.account, until, wanted.label, actions=actions, assets=wanted.assets)
    except ValueError as error:  # pydantic's is one
        raise HallmarkError("Invalid", str(error), fix="docs/authorisation.md names them") from error


def _new(events: list[Event]) -> list[NewEvent]:
    origin = Origin(actor=_ACTOR, occurred_at=datetime.now(UTC), correlation_id=uuid4())
    return [NewEvent(id=uuid4(), data=event, origin=origin) for event in events]
