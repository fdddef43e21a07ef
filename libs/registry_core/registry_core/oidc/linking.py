"""Linking a subject to an account: the way to it and the event are one transaction, or nothing."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from registry_core.events import Event, NewEvent
from registry_core.events.logins import LoginLinked
from registry_core.handlers import fold
from registry_core.identity import Account, account_stream
from registry_core.problems import conflict
from registry_core.service import Platform
from registry_core.store.appending import append_batch
from registry_core.store.connections import Connection
from registry_core.store.logins import Held, Logins, new_login
from registry_core.store.model import Append, Conflict
from registry_core.store.postgres import read_streams
from registry_core.store.vault import Person

ATTEMPTS: Final = 20
Made = Callable[[Sequence[Event]], list[NewEvent]]
"""Gives the events of a request their ids and origin."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody at an issuer."""

    issuer: str
    subject: str
    roles_follow: bool = False


@dataclass(frozen=True, slots=True)
class Linked:
    account: str
    login: str
    event: NewEvent | None
    """The last event written; None where it was linked before."""


@dataclass(frozen=True, slots=True)
class Linking:
    """One transaction. Persons are locked before logins, as erasures do."""

    platform: Platform
    connection: Connection

    @classmethod
    @asynccontextmanager
    async def begin(cls, platform: Platform) -> AsyncIterator["Linking"]:
        async with platform.pool.acquire() as connection, connection.transaction():
            yield cls(platform, connection)

    async def state(self, account: str) -> Account:
        stream = account_stream(account)
        return fold(Account(), (await read_streams(self.connection, [stream]))[stream])

    async def before(self, who: Subject) -> Linked | None:
        """Where the subject leads already, by the account's own word."""
        held = await Logins(self.platform.pool).find(who.issuer, who.subject, self.connection)
        if held is None or held.login not in (await self.state(held.account)).logins:
            return None
        return Linked(held.account, held.login, None)

    async def append(self, to: Account, person: Person, who: Subject, made: Made, *first: Event) -> Linked | None:
        """Append `first` and the link to the account's stream; None where somebody else was faster."""
        account, login = to.account, new_login()
        await Logins(self.platform.pool).hold(self.connection, who.issuer, who.subject, Held(account, login))
        subject = person.seal(who.subject)
        event = LoginLinked(
            account=account, login=login, issuer=who.issuer, subject=subject, roles_follow=who.roles_follow
        )
        new = made([*first, event])
        (result,) = await append_batch(self.connection, [Append(account_stream(account), new, to.version)])
        return None if isinstance(result, Conflict) else Linked(account, login, new[-1])


async def link(platform: Platform, account: str, who: Subject, made: Made) -> Linked:
    """Link to an account that there is. Raises Problem."""
    for _ in range(ATTEMPTS):
        async with Linking.begin(platform) as linking:
            linked = await _linked(linking, account, who, made)
        if linked:
            platform.store.on_append()
            return linked
    raise conflict(f"{account} changed {ATTEMPTS} times while this was linked", "try again")


async def _linked(linking: Linking, account: str, who: Subject, made: Made) -> Linked | None:
    state = await linking.state(account)
    person = await linking.platform.vault.person(linking.connection, state.person)
    if person is None:
        raise conflict(f"the person behind {account} was erased", "create another account, and link that")
    linked = await linking.before(who)
    if linked and linked.account != account:
        raise conflict(
            "this subject is linked to another account",
            f"unlink it there first: `hallmark account unlink {linked.account} {linked.login}`",
        )
    return linked or await linking.append(state, person, who, made)
