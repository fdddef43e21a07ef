"""Accounts, roles, tokens and signing keys. All of it is events; only administrators change it."""

from datetime import datetime
from typing import Annotated, Any, Literal

from litestar import Request, delete, get, post, put
from pydantic import AwareDatetime, Field, StringConstraints
from registry_core.events import Event
from registry_core.events.governance import AccountCreated, RolesChanged, SigningKeyRegistered, TokenRevoked
from registry_core.handlers import fold, load
from registry_core.http import Caller
from registry_core.http.moments import events_at, stated
from registry_core.identity import ROLE, Account, BearerToken, account_stream, new_token
from registry_core.moments import Moment
from registry_core.problems import conflict, forbidden, invalid, not_found
from registry_core.proofs.keys import key_id, public_from_base64
from registry_core.service import Platform
from registry_core.values import Account as AccountId
from registry_core.values import Value

from hallmark_ingestion.accounts import identify_accounts, named

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


class NewToken(Value):
    label: Annotated[str, Field(max_length=128)] = ""
    expires_at: AwareDatetime | None = None


class NewSigningKey(Value):
    public_key: Annotated[str, Field(max_length=64)]
    purpose: Literal["review", "provenance"]


@get("/v1/whoami", action="read")
async def whoami(caller: Caller, request: AnyRequest) -> dict[str, Any]:
    """The calling account; for a token of Hallmark's own also `expires_at`, null where it has no end."""
    account = caller.account
    known = await named(caller.platform, account)
    sent = BearerToken.parse(request.headers.get("authorization", "").removeprefix("Bearer "))
    token = account.tokens.get(sent.token_id) if sent else None
    ends = {"expires_at": token.expires_at} if token else {}
    return {"account": account.account, "kind": account.kind, **known, "roles": sorted(account.roles), **ends}


@post("/v1/accounts", action="identity")
async def create_account(data: NewAccount, caller: Caller) -> dict[str, Any]:
    """A human's or a pipeline's account."""
    not_reserved(data.account)
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
    known = await named(platform, state)
    return {**_describe(state, moment.reading(platform.clock())), **known, **stated(moment)}


def _describe(state: Account, at: datetime) -> dict[str, Any]:
    return {
        "account": state.account,
        "kind": state.kind,
        "roles": sorted(state.roles),
        "tokens": [
            {"token_id": i, "expires_at": token.expires_at, "in_force": token.in_force(at)}
            for i, token in state.tokens.items()
        ],
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
        return [RolesChanged(account=account, roles=data.roles)] if changed else []

    return (await caller.decide(account_stream(account), Account(), decide)).document(account=account)


@post("/v1/accounts/{account:str}/tokens", action="identity")
async def issue_token(account: str, data: NewToken, caller: Caller) -> dict[str, Any]:
    """A token, shown this once. Asking again with the same Idempotency-Key does not show it again."""
    not_reserved(account)
    known_account(await load(caller.platform.reader, Account(), account_stream(account)))
    text, issued = new_token(account, data.expires_at, data.label)
    written = await caller.decide(
        account_stream(account), Account(), lambda state: [issued] if known_account(state) else []
    )
    state = await load(caller.platform.reader, Account(), account_stream(account))
    if issued.token_id not in state.tokens:
        raise conflict("a token was issued for this Idempotency-Key before", "revoke that one and ask with a new key")
    return written.document(account=account, token=text, token_id=issued.token_id)


@delete("/v1/accounts/{account:str}/tokens/{token_id:str}", action="identity", status_code=200)
async def revoke_token(account: str, token_id: str, caller: Caller) -> dict[str, Any]:
    """From now on the token opens nothing."""

    def decide(state: Account) -> list[Event]:
        if token_id not in known_account(state).tokens:
            raise not_found(f"token {token_id} of {account}", "list what the account has, or it is revoked already")
        return [TokenRevoked(account=account, token_id=token_id)]

    return (await caller.decide(account_stream(account), Account(), decide)).document(token_id=token_id)


@post("/v1/accounts/{account:str}/signing-keys", action="read")
async def register_signing_key(account: str, data: NewSigningKey, caller: Caller) -> dict[str, Any]:
    """An Ed25519 public key with which the account signs: review keys by oneself, provenance keys by administrators."""
    not_reserved(account)
    if caller.name != account and data.purpose == "review":
        raise forbidden(f"{caller.name} may not register review keys of {account}", "let them register their own")
    if data.purpose == "provenance" and not caller.account.may("identity"):
        raise forbidden("whose provenance is trusted is for administrators to say", "ask one to register this key")
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


def not_reserved(account: str) -> None:
    if account.startswith(("service:", "kafka:")):
        raise invalid("names that begin with service: and kafka: are Hallmark's own", "take another", field="/account")


def known_account(state: Account) -> Account:
    if state.version < 0:
        raise not_found("this account", "create it first: `hallmark account create`")
    return state


ROUTES = [whoami, create_account, read_account, change_roles, issue_token, revoke_token, register_signing_key]
