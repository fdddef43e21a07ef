"""Tokens of accounts: issued, listed with their last use, revoked. Only administrators do."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from litestar import delete, get, post
from litestar.params import Parameter
from pydantic import AfterValidator, AwareDatetime, Field
from registry_core.access import ACTIONS, known_action
from registry_core.events import Event
from registry_core.events.governance import TokenRevoked
from registry_core.handlers import fold
from registry_core.http import Caller
from registry_core.http.last_use import TokenName, last_used
from registry_core.identity import Account, Lifetimes, Token, account_stream, find_account, new_token
from registry_core.problems import conflict, invalid, not_found
from registry_core.service import Platform
from registry_core.values import AssetPattern, Value

from hallmark_ingestion.accounts import known_account, not_reserved

_AT_ONCE: Final = 100
"""Accounts per query."""


Action = Annotated[str, AfterValidator(known_action)]


class NewToken(Value):
    """`actions` and `assets` narrow what the account may do; without them the token does all of it."""

    label: Annotated[str, Field(max_length=128)] = ""
    expires_at: AwareDatetime | None = None
    actions: Annotated[tuple[Action, ...], Field(min_length=1, max_length=len(ACTIONS))] | None = None
    assets: Annotated[tuple[AssetPattern, ...], Field(min_length=1, max_length=100)] | None = None


@post("/v1/accounts/{account:str}/tokens", action="identity")
async def issue_token(account: str, data: NewToken, caller: Caller) -> dict[str, Any]:
    """A token, shown this once, good until `expires_at`. The same Idempotency-Key again does not show it again."""
    not_reserved(account)
    state = _open(known_account(await find_account(caller.platform.reader, account)))
    until = _until(caller.platform, state, data.expires_at)
    text, issued = new_token(account, until, data.label, actions=data.actions, assets=data.assets)
    written = await caller.decide(account_stream(account), Account(), lambda state: [issued] if _open(state) else [])
    state = await find_account(caller.platform.reader, account)
    if issued.token_id not in state.tokens:
        raise conflict("a token was issued for this Idempotency-Key before", "revoke that one and ask with a new key")
    return written.document(account=account, token=text, token_id=issued.token_id, expires_at=until)


def _open(state: Account) -> Account:
    if known_account(state).closed:
        raise conflict(f"the account {state.account} is closed", "reopen it first: `hallmark account reopen`")
    return state


def _until(platform: Platform, state: Account, asked: datetime | None) -> datetime:
    try:
        return Lifetimes.of(platform.settings).until(state.kind, asked, platform.clock())
    except ValueError as error:
        fix = "choose an earlier end; HALLMARK_TOKEN_MAX_DAYS is the longest there is"
        raise invalid(str(error), fix, field="/expires_at") from error


@delete("/v1/accounts/{account:str}/tokens/{token_id:str}", action="identity", status_code=200)
async def revoke_token(account: str, token_id: str, caller: Caller) -> dict[str, Any]:
    """From now on the token opens nothing."""

    def decide(state: Account) -> list[Event]:
        if token_id not in known_account(state).tokens:
            raise not_found(f"token {token_id} of {account}", "list what the account has, or it is revoked already")
        return [TokenRevoked(account=account, token_id=token_id)]

    return (await caller.decide(account_stream(account), Account(), decide)).document(token_id=token_id)


@get("/v1/tokens", action="identity")
async def list_tokens(
    platform: Platform, unused_days: Annotated[int | None, Parameter(ge=0, le=36_500)] = None
) -> dict[str, Any]:
    """Every token that is in force; with `unused_days`, those that nobody used for so long, or ever."""
    now = platform.clock()
    tokens = [token async for token in _tokens(platform, now) if token["in_force"]]
    if unused_days is not None:
        since = now - timedelta(days=unused_days)
        tokens = [token for token in tokens if (token["last_used_at"] or token["issued_at"]) <= since]
    return {"tokens": sorted(tokens, key=lambda token: (token["account"], token["issued_at"]))}


async def _tokens(platform: Platform, now: datetime) -> AsyncIterator[dict[str, Any]]:
    streams = await platform.store.streams_under(account_stream(""))
    for first in range(0, len(streams), _AT_ONCE):
        found = await platform.store.read_streams(streams[first : first + _AT_ONCE])
        accounts = [fold(Account(), events) for events in found.values()]
        used = await last_used(platform.pool, [account.account for account in accounts])
        for account in accounts:
            for token in described(account, used, now):
                yield {"account": account.account, **token}


def described(account: Account, used: Mapping[TokenName, datetime], at: datetime) -> list[dict[str, Any]]:
    """The account's tokens as documents; secrets are nowhere."""
    return [
        {**_describe(token, at), "last_used_at": used.get(TokenName(account.account, name))}
        for name, token in account.tokens.items()
    ]


def _describe(token: Token, at: datetime) -> dict[str, Any]:
    issued = token.issued
    return {
        "token_id": issued.token_id,
        "label": issued.label,
        "actions": issued.actions,
        "assets": issued.assets,
        "issued_at": token.issued_at,
        "expires_at": token.expires_at,
        "in_force": token.in_force(at),
    }


ROUTES: list[Any] = [issue_token, revoke_token, list_tokens]
