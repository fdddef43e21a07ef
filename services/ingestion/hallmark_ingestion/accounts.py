"""Accounts by pseudonym: whoever was recorded by a plain name is said anew, sealed."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import asyncpg
from registry_core.events import NewEvent, Origin, RecordedEvent, derived_id
from registry_core.events.base import NAMESPACE
from registry_core.events.governance import AccountIdentified
from registry_core.handlers import fold
from registry_core.identity import Account
from registry_core.personal import Sealed, is_pseudonym
from registry_core.problems import invalid, not_found
from registry_core.service import Platform
from registry_core.store.appending import append_batch
from registry_core.store.connections import Connection
from registry_core.store.model import Append
from registry_core.store.postgres import read_streams
from registry_core.store.vault import Vault

_UNIDENTIFIED: Final = """
    select s.stream_id from log.streams s where s.stream_id >= 'account:' and s.stream_id < 'account;'
       and not exists (select from privacy.accounts a where a.account = substr(s.stream_id, 9))"""


async def identify_accounts(platform: Platform) -> None:
    """Give a pseudonym to everybody behind an account from before pseudonyms, all in one append.

    All at once, because four eyes compares persons: half of them by name would be two persons where there is one.
    """
    with suppress(asyncpg.UniqueViolationError):  # another process was faster
        async with platform.pool.acquire() as connection, connection.transaction():
            streams = [row["stream_id"] for row in await connection.fetch(_UNIDENTIFIED)]
            appends = await _appends(platform, connection, await read_streams(connection, streams))
            if appends:
                await append_batch(connection, appends)
        if appends:
            platform.store.on_append()


async def _appends(
    platform: Platform, connection: Connection, streams: dict[str, list[RecordedEvent]]
) -> Sequence[Append]:
    vault, made = platform.vault, list[Append]()
    for stream, events in streams.items():
        account = fold(Account(), events)
        if account.account and not is_pseudonym(account.person):
            made.append(_append(platform, stream, await _identified(vault, connection, account)))
    return made


async def _identified(vault: Vault, connection: Connection, account: Account) -> AccountIdentified:
    person = await vault.identify(connection, account.person, account.account)
    shown = _plain(account.display_name) or account.account
    return AccountIdentified(
        account=account.account, kind="service" if account.kind == "service" else "human", person=person.pseudonym,
        name=person.seal(account.person), display_name=person.seal(shown),
    )  # fmt: skip


def _plain(text: Sealed | None) -> str:
    return text.data if text and text.scheme == "plain" else ""


def _append(platform: Platform, stream: str, data: AccountIdentified) -> Append:
    made = derived_id(NAMESPACE, "identified", stream)
    origin = Origin(actor="service:ingestion", occurred_at=platform.clock(), correlation_id=made)
    return Append(stream, [NewEvent(id=made, data=data, origin=origin)])


async def named(platform: Platform, account: Account) -> dict[str, Any]:
    """`person`, and what the person and the account are called; `[erased]` once they are."""
    name, display_name = await platform.vault.unseal(account.person, account.name, account.display_name)
    return {"person": account.person, "name": name, "display_name": display_name}


def not_reserved(account: str) -> None:
    """Raises Problem 422 for names that nobody may have."""
    if account.startswith(("service:", "kafka:")):
        raise invalid("names that begin with service: and kafka: are Hallmark's own", "take another", field="/account")


def known_account(state: Account) -> Account:
    """Raises Problem 404 for an account that nobody created."""
    if state.version < 0:
        raise not_found("this account", "create it first: `hallmark account create`")
    return state
