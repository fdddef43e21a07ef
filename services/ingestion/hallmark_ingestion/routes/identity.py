"""Accounts, roles, grants and signing keys. All of it is events; only administrators change it."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from litestar import Request, delete, get, post, put
from litestar.params import Parameter
from pydantic import Field, StringConstraints
from registry_core.access import Grant, kind_of_role
from registry_core.events import Event
from registry_core.events.governance import (
    AccountClosed,
    AccountCreated,
    AccountReopened,
    RoleGranted,
    RolesChanged,
    RoleWithdrawn,
    SigningKeyRegistered,
)
from registry_core.handlers import fold
from registry_core.http import Caller
from registry_core.http.authorisation import NONE
from registry_core.http.last_use import last_used
from registry_core.http.moments import events_at, stated
from registry_core.identity import GRANTED, ROLE, Account, BearerToken, account_stream
from registry_core.moments import Moment
from registry_core.problems import Problem, conflict, forbidden, invalid
from registry_core.proofs.keys import key_id, public_from_base64
from registry_core.service import Platform
from registry_core.values import Account as AccountId
from registry_core.values import AssetPattern, Text, Value

from hallmark_ingestion.accounts import identify_accounts, known_account, named, not_reserved
from hallmark_ingestion.routes.tokens import described

MOST_GRANTS: Final = 200
"""Of one account: each of its requests looks at them."""
Role = Annotated[str, StringConstraints(pattern=ROLE)]

AnyRequest = Request[Any, Any, Any]


class NewAccount(Value):
    account: AccountId
    kind: Literal["human", "service"] = "human"
    person: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """Several accounts of one human carry the same; default: the account's own name."""
    display_name: Annotated[str, Field(max_length=128)] = ""
    roles: tuple[Role, ...] = ()


class NewRoles(Value):
    roles: tuple[Role, ...]


class NewGrant(Value):
    role: Annotated[str, StringConstraints(pattern=GRANTED)]
    assets: AssetPattern


class Because(Value):
    reason: Text


class NewSigningKey(Value):
    public_key: Annotated[str, Field(max_length=64)]
    purpose: Literal["review", "provenance"]


@get("/v1/whoami", action="read", asset=NONE)
async def whoami(caller: Caller, request: AnyRequest) -> dict[str, Any]:
    """The calling account, and what its token is narrowed to.

    For a token of Hallmark's own also `expires_at`, null where it has no end.
    """
    account = caller.account
    names, actions = await named(caller.platform, account), account.scope.actions
    sent = BearerToken.parse(request.headers.get("authorization", "").removeprefix("Bearer "))
    token = account.tokens.get(sent.token_id) if sent else None
    ends = {"expires_at": token.expires_at} if token else {}
    return {
        "account": account.account, "kind": account.kind, **names, "roles": sorted(account.roles),
        "grants": _grants(account), "actions": sorted(actions) if actions is not None else None,
        "assets": account.scope.reach.patterns, **ends,
    }  # fmt: skip


def _grants(account: Account) -> list[dict[str, str]]:
    return [grant._asdict() for grant in sorted(account.grants)]


@post("/v1/accounts", action="identity")
async def create_account(data: NewAccount, caller: Caller) -> dict[str, Any]:
    """A human's or a pipeline's account."""
    not_reserved(data.account)
    _fit(data.kind, *data.roles)
    created = await _created(data, caller.platform)

    def decide(state: Account) -> list[Event]:
        if state.version >= 0:
            raise conflict(f"the account {data.account} exists", "change its roles, or take another name")
        return [created, RolesChanged(account=data.account, roles=data.roles)]

    written = await caller.decide(account_stream(data.account), Account(), decide)
    return written.document(account=data.account)


async def _created(data: NewAccount, platform: Platform) -> AccountCreated:
    """By pseudonym and sealed, so that the person can be erased one day."""
    await identify_accounts(platform)
    name = data.person or data.account
    async with platform.pool.acquire() as connection, connection.transaction():
        person = await platform.vault.identify(connection, name, data.account)
    return AccountCreated(
        account=data.account, kind=data.kind, person=person.pseudonym, name=person.seal(name),
        display_name=person.seal(data.display_name or data.account),
    )  # fmt: skip


@get("/v1/accounts/{account:str}", action="identity")
async def read_account(account: str, platform: Platform, moment: Moment) -> dict[str, Any]:
    """An account with its roles and the ids of its tokens and keys, now or then; secrets are nowhere."""
    fix = "create it first: `hallmark account create`"
    events = await events_at(platform, account_stream(account), moment, f"the account {account[:64]}", fix)
    state = fold(Account(), events)
    names = await named(platform, state)
    return {**await _describe(platform, state, moment.reading(platform.clock())), **names, **stated(moment)}


async def _describe(platform: Platform, state: Account, at: datetime) -> dict[str, Any]:
    return {
        "account": state.account,
        "kind": state.kind,
        "closed": state.closed,
        "roles": sorted(state.roles),
        "grants": _grants(state),
        "tokens": described(state, await last_used(platform.pool, [state.account]), at),
        "logins": [
            {"login": i, "issuer": login.issuer, "roles_follow": login.roles_follow}
            for i, login in state.logins.items()
        ],
        "workloads": [
            {"workload": i, "issuer": workload.issuer, "claims": dict(workload.claims)}
            for i, workload in state.workloads.items()
        ],
        "sessions": [
            {"session": i, "login": session.login, "expires_at": session.expires_at, "in_force": session.in_force(at)}
            for i, session in state.sessions.items()
        ],
        "signing_keys": [{"key_id": i, "purpose": key.purpose} for i, key in state.signing_keys.items()],
    }


@put("/v1/accounts/{account:str}/roles", action="identity")
async def change_roles(account: str, data: NewRoles, caller: Caller) -> dict[str, Any]:
    """Replace the account's roles."""
    not_reserved(account)

    def decide(state: Account) -> list[Event]:
        changed = known_account(state).roles != frozenset(data.roles)
        _fit(state.kind, *data.roles)
        if caller.name == account and "admin" in state.roles and "admin" not in data.roles:
            raise _lost("take it away from oneself")
        return [RolesChanged(account=account, roles=data.roles)] if changed else []

    return (await caller.decide(account_stream(account), Account(), decide)).document(account=account)


def _lost(what: str) -> Problem:
    """Whoever changes accounts is an administrator, so there is always one as long as nobody does this."""
    return forbidden(f"the last administrator could be lost: nobody may {what}", "ask another administrator to do it")


@post("/v1/accounts/{account:str}/grants", action="identity", status_code=200)
async def grant_role(account: str, data: NewGrant, caller: Caller) -> dict[str, Any]:
    """A role on the assets of a pattern, beside the account's other roles."""
    not_reserved(account)
    granted = RoleGranted(account=account, role=data.role, assets=data.assets)

    def decide(state: Account) -> list[Event]:
        _fit(known_account(state).kind, data.role)
        if len(state.grants) >= MOST_GRANTS:
            raise conflict(f"{account} has {MOST_GRANTS} grants", "grant on a pattern such as model:credit-*")
        return [] if Grant(data.role, data.assets) in state.grants else [granted]

    return (await caller.decide(account_stream(account), Account(), decide)).document(account=account)


@delete("/v1/accounts/{account:str}/grants", action="identity", status_code=200)
async def withdraw_role(
    account: str,
    caller: Caller,
    role: Annotated[str, Parameter(pattern=GRANTED)],
    assets: Annotated[str, Parameter(max_length=256)],
) -> dict[str, Any]:
    """The end of a grant, named as it was granted."""
    not_reserved(account)

    def decide(state: Account) -> list[Event]:
        held = Grant(role, assets) in known_account(state).grants
        return [RoleWithdrawn(account=account, role=role, assets=assets)] if held else []

    return (await caller.decide(account_stream(account), Account(), decide)).document(account=account)


@post("/v1/accounts/{account:str}/close", action="identity", status_code=200)
async def close_account(account: str, data: Because, caller: Caller) -> dict[str, Any]:
    """Shut the account at once: nothing opens it, and all its tokens are gone."""
    not_reserved(account)
    if caller.name == account:
        raise _lost("close their own account")

    def decide(state: Account) -> list[Event]:
        return [] if known_account(state).closed else [AccountClosed(account=account, reason=data.reason)]

    return (await caller.decide(account_stream(account), Account(), decide)).document(account=account)


@post("/v1/accounts/{account:str}/reopen", action="identity", status_code=200)
async def reopen_account(account: str, data: Because, caller: Caller) -> dict[str, Any]:
    """Roles and grants are as before; tokens have to be issued anew."""

    def decide(state: Account) -> list[Event]:
        return [AccountReopened(account=account, reason=data.reason)] if known_account(state).closed else []

    return (await caller.decide(account_stream(account), Account(), decide)).document(account=account)


@post("/v1/accounts/{account:str}/signing-keys", action="own-keys", asset=NONE)
async def register_signing_key(account: str, data: NewSigningKey, caller: Caller) -> dict[str, Any]:
    """An Ed25519 public key with which the account signs: review keys by oneself, provenance keys by administrators."""
    not_reserved(account)
    if caller.name != account and data.purpose == "review":
        raise forbidden(f"{caller.name} may not register review keys of {account}", "let them register their own")
    if data.purpose == "provenance" and not caller.account.may("identity"):
        raise forbidden("whose provenance is trusted is for administrators to say", "ask one to register this key")
    if data.purpose == "review":
        _fit(caller.account.kind, "reviewer")
    event = _key_event(account, data)

    def decide(state: Account) -> list[Event]:
        return [] if event.key_id in known_account(state).signing_keys else [event]

    return (await caller.decide(account_stream(account), Account(), decide)).document(key_id=event.key_id)


def _key_event(account: str, data: NewSigningKey) -> SigningKeyRegistered:
    try:
        public = public_from_base64(data.public_key)
    except ValueError as error:
        raise invalid(
            f"not an Ed25519 public key: {error}", "send base64 of the 32 raw bytes", field="/public_key"
        ) from error
    return SigningKeyRegistered(
        account=account, key_id=key_id(public), public_key=data.public_key, purpose=data.purpose
    )


def _fit(kind: str, *roles: str) -> None:
    """Raises Problem 422: four eyes are persons'."""
    if kind == "service" and any(kind_of_role(role) == "reviewer" for role in roles):
        raise invalid("a service account never reviews: four eyes are persons'", "give the role to a person's account")


ROUTES: list[Any] = [
    whoami, create_account, read_account, change_roles, grant_role, withdraw_role, close_account, reopen_account,
    register_signing_key,
]  # fmt: skip
