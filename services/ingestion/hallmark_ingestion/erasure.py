"""Erasing a person: their key and name go, their accounts close, and the log says so; one transaction, or nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from registry_core import inbox
from registry_core.events import Event, NewEvent, RecordedEvent, derived_id
from registry_core.events.governance import AccountClosed, AccountCreatedV1, RolesChanged, RoleWithdrawn, TokenRevoked
from registry_core.events.logins import LoginUnlinked, WorkloadUnbound
from registry_core.events.privacy import PersonErased
from registry_core.handlers import fold
from registry_core.http import Caller
from registry_core.identity import Account, account_stream
from registry_core.personal import is_pseudonym
from registry_core.problems import Problem, conflict, forbidden, not_found
from registry_core.store import idempotency
from registry_core.store.appending import append_batch
from registry_core.store.connections import Connection
from registry_core.store.model import Append, Conflict
from registry_core.store.postgres import read_streams

ATTEMPTS: Final = 20
Streams = Mapping[str, list[RecordedEvent]]


def person_stream(pseudonym: str) -> str:
    return f"person:{pseudonym}"


class _MovedError(Exception):
    """An account changed between being read and being closed."""


@dataclass(frozen=True, slots=True)
class Held:
    """The accounts that are, or are about to become, one person's."""

    person: str
    streams: Streams

    @property
    def accounts(self) -> dict[str, Account]:
        states = {stream.removeprefix("account:"): fold(Account(), events) for stream, events in self.streams.items()}
        return {name: state for name, state in states.items() if state.version < 0 or state.person == self.person}

    def plain_bodies(self) -> tuple[UUID, ...]:
        """Events that name the person in plain text."""
        mine = [event for name in self.accounts for event in self.streams[account_stream(name)]]
        return tuple(event.id for event in mine if event.type == AccountCreatedV1.type and event.body is not None)

    def requests(self) -> set[UUID]:
        """What the accounts were made and changed by."""
        return {event.correlation_id for events in self.streams.values() for event in events}


def close(name: str, account: Account) -> list[Event]:
    """Everything that account could still do, undone. One that is being created finds its name taken."""
    revoked = [TokenRevoked(account=name, token_id=token) for token in account.tokens]
    withdrawn = [RoleWithdrawn(account=name, role=role, assets=assets) for role, assets in sorted(account.grants)]
    without = [RolesChanged(account=name, roles=())] if account.roles or account.version < 0 else []
    unlinked = [LoginUnlinked(account=name, login=login) for login in account.logins]
    unbound = [WorkloadUnbound(account=name, workload=workload) for workload in account.workloads]
    closed = [] if account.closed else [AccountClosed(account=name, reason="the person was erased")]
    return [*revoked, *unlinked, *unbound, *withdrawn, *without, *closed]


async def erase_person(caller: Caller, who: str, reason: str) -> dict[str, Any]:
    """`who`: a name as it was given, or a pseudonym. Raises Problem."""
    for _ in range(ATTEMPTS):
        try:
            event = await _erase(caller, who, reason)
        except _MovedError:
            continue
        assert isinstance(event.data, PersonErased)
        index = await caller.platform.store.wait_sealed(event.id)
        return {**event.data.model_dump(mode="json", exclude={"erased_by"}), "log_index": index}
    raise conflict("the person's accounts changed all the while", "try again")


async def _erase(caller: Caller, who: str, reason: str) -> NewEvent | RecordedEvent:
    vault = caller.platform.vault
    async with caller.platform.pool.acquire() as connection, connection.transaction():
        person = await vault.find(connection, "p", who, lock=True)
        if person is None:
            return await _erased_before(caller, who)
        held = await _held(caller, connection, person)
        event = await _new_event(caller, _erased(caller, held, reason))
        await _append(connection, [Append(person_stream(person), [event]), *_closures(caller, held)])
        await idempotency.forget(connection, held.requests())
        if not is_pseudonym(who):
            await inbox.erase_mentions(connection, who)
        await vault.forget(connection, person)
    caller.platform.store.on_append()
    return event


async def _held(caller: Caller, connection: Connection, person: str) -> Held:
    names = await caller.platform.vault.accounts(connection, person)
    held = Held(person, await read_streams(connection, [account_stream(name) for name in names]))
    if caller.name in held.accounts:
        raise forbidden("nobody erases themselves: the last administrator could be lost", "ask another administrator")
    return held


def _erased(caller: Caller, held: Held, reason: str) -> PersonErased:
    accounts, bodies = tuple(held.accounts), held.plain_bodies()
    return PersonErased(person=held.person, accounts=accounts, bodies=bodies, erased_by=caller.name, reason=reason)


async def _new_event(caller: Caller, data: PersonErased) -> NewEvent:
    made = derived_id(caller.seed, "person-erased")
    if await caller.platform.store.position(made):
        fix = "take a new key for a new request"
        raise Problem(422, "idempotency-key-reused", "this key erased another person before", fix=fix)
    return NewEvent(id=made, data=data, origin=caller.origin)


def _closures(caller: Caller, held: Held) -> Iterable[Append]:
    for name, account in held.accounts.items():
        stream = account_stream(name)
        new = caller.events(stream, close(name, account))
        if new:
            yield Append(stream, new, account.version)


async def _append(connection: Connection, appends: list[Append]) -> None:
    if any(isinstance(result, Conflict) for result in await append_batch(connection, appends)):
        raise _MovedError


async def _erased_before(caller: Caller, who: str) -> RecordedEvent:
    """The erasure of this very request, or of this pseudonym. A name that was erased is not known any more."""
    if event := await caller.platform.store.position(derived_id(caller.seed, "person-erased")):
        return event
    events = (await caller.platform.reader.read(person_stream(who)))[0] if is_pseudonym(who) else []
    if events:
        return events[0]
    raise not_found("a person of this name", "spell it as with `hallmark account create`; one erased is unknown, too")
