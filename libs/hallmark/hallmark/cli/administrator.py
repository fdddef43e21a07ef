"""The first administrator, and the way back in. Needs the server's packages."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import asyncpg
from registry_core.events import Event, NewEvent, Origin
from registry_core.events.governance import AccountCreated, RolesChanged
from registry_core.handlers import fold
from registry_core.identity import Account, account_stream, new_token
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
    text, issued = new_token(ADMIN, label="first start")
    created = AccountCreated(account=ADMIN, kind="human", person=ADMIN)
    events = [created, RolesChanged(account=ADMIN, roles=("admin",)), issued]
    (result,) = await platform.store.append(Append(stream, _new(events), NONE))
    return None if isinstance(result, Conflict) else text


def issue_locally(account: str, data: Path | None, label: str, expires_at: datetime | None) -> dict[str, Any]:
    """Issue a token straight into the log: who can do this owns the database anyway, and it is recorded."""
    settings = Settings()
    dsn = settings.postgres_dsn.get_secret_value() or _local_dsn(data or settings.data_dir)
    return asyncio.run(_issue(dsn, account, label or "issued on the machine", expires_at))


def _local_dsn(data: Path) -> str:
    from registry_core.local.stack import running_dsn  # noqa: PLC0415 - not installed where PostgreSQL is elsewhere

    return running_dsn(data)


async def _issue(dsn: str, account: str, label: str, expires_at: datetime | None) -> dict[str, Any]:
    try:
        connection = await asyncpg.connect(dsn, timeout=10)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise LocalStackError(
            f"the database does not let us in ({error}); run this while `hallmark up` runs, as the user that runs it"
        ) from error
    try:
        return await _append_token(connection, account, label, expires_at)
    finally:
        await connection.close()


async def _append_token(connection: Any, account: str, label: str, expires_at: datetime | None) -> dict[str, Any]:
    stream = account_stream(account)
    state = fold(Account(), (await read_streams(connection, [stream]))[stream])
    if state.version < 0:
        fix = "create it: `hallmark account create`" if account != ADMIN else "start `hallmark up` once"
        raise HallmarkError("Not found", f"there is no account {account}", fix=fix)
    text, issued = new_token(account, expires_at, label)
    await append_once(connection, Append(stream, _new([issued])))
    return {"account": account, "token": text, "token_id": issued.token_id}


def _new(events: list[Event]) -> list[NewEvent]:
    origin = Origin(actor=_ACTOR, occurred_at=datetime.now(UTC), correlation_id=uuid4())
    return [NewEvent(id=uuid4(), data=event, origin=origin) for event in events]
