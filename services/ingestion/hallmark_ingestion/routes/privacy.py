"""What is held about a person, and its erasure. Names travel in bodies: addresses end up in logs."""

from typing import Annotated, Any

from litestar import post
from pydantic import StringConstraints
from registry_core.events import RecordedEvent
from registry_core.handlers import fold
from registry_core.http import Caller
from registry_core.identity import Account, account_stream
from registry_core.personal import Sealed
from registry_core.problems import invalid, not_found
from registry_core.service import Platform
from registry_core.values import Text, Value

from hallmark_ingestion.accounts import identify_accounts, named
from hallmark_ingestion.erasure import erase_person

Who = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]


class OfPerson(Value):
    person: Who
    """The name as it was given with the account, else the account's own name; or the pseudonym."""


class Erasure(OfPerson):
    confirm: Who
    """The person once more."""
    reason: Text
    """Kept in the log for good: without the name."""


@post("/v1/privacy/persons/show", action="privacy", status_code=200)
async def show(data: OfPerson, caller: Caller) -> dict[str, Any]:
    """Everything that is kept under this person's name: an answer to a request for access."""
    platform = caller.platform
    await identify_accounts(platform)
    person = await platform.vault.find(platform.pool, "p", data.person)
    if person is None:
        fix = "spell it as with `hallmark account create`; one erased is unknown, too"
        raise not_found("a person of this name", fix)
    names = await platform.vault.accounts(platform.pool, person)
    streams = await platform.reader.read(*[account_stream(name) for name in names])
    accounts = [await _account(platform, events) for events in streams if fold(Account(), events).person == person]
    return {"person": person, "accounts": accounts}


async def _account(platform: Platform, events: list[RecordedEvent]) -> dict[str, Any]:
    account = fold(Account(), events)
    return {
        "account": account.account,
        "kind": account.kind,
        **await named(platform, account),
        "roles": sorted(account.roles),
        "events": [await _event(platform, account.person, event) for event in events],
    }


async def _event(platform: Platform, person: str, event: RecordedEvent) -> dict[str, Any]:
    """The event as it can be read now."""
    sealed = {name: value for name, value in event.data if isinstance(value, Sealed)}
    texts = await platform.vault.unseal(person, *sealed.values())
    return {
        "type": event.type, "version": event.version, "occurred_at": event.occurred_at, "actor": event.actor,
        "data": {**event.data.model_dump(mode="json"), **dict(zip(sealed, texts, strict=True))},
    }  # fmt: skip


@post("/v1/privacy/persons/erase", action="privacy", status_code=200)
async def erase(data: Erasure, caller: Caller) -> dict[str, Any]:
    """Destroy the person's key, name and way to both, and close their accounts. It cannot be undone."""
    if data.confirm != data.person:
        raise invalid("the confirmation is not the person", "name the person twice", field="/confirm")
    if data.person.casefold() in data.reason.casefold():
        raise invalid("the reason is kept for good", "leave the person's name out of it", field="/reason")
    await identify_accounts(caller.platform)
    return await erase_person(caller, data.person, data.reason)


ROUTES = [show, erase]
