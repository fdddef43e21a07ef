"""Who signs in as an account from outside: subjects of issuers, and pipelines by the claims of their tokens."""

from functools import partial
from typing import Annotated, Any

from litestar import delete, post
from pydantic import Field, StringConstraints
from registry_core.events import Event
from registry_core.events.logins import (
    ClaimName,
    ClaimValue,
    Issuer,
    LoginUnlinked,
    SessionClosed,
    WorkloadBound,
    WorkloadUnbound,
)
from registry_core.http import Caller
from registry_core.identity import Account, account_stream, find_account
from registry_core.oidc.claims import LONGEST_SUBJECT
from registry_core.oidc.config import OidcConfig
from registry_core.oidc.linking import Subject, link
from registry_core.problems import invalid, not_found
from registry_core.service import Platform
from registry_core.store.logins import Logins, new_workload
from registry_core.values import Value

from hallmark_ingestion.accounts import identify_accounts, known_account, not_reserved


class NewLogin(Value):
    issuer: Issuer
    subject: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_SUBJECT)]


class NewWorkload(Value):
    issuer: Issuer
    claims: Annotated[dict[ClaimName, ClaimValue], Field(min_length=1, max_length=20)]


@post("/v1/accounts/{account:str}/logins", action="identity")
async def link_login(account: str, data: NewLogin, caller: Caller) -> dict[str, Any]:
    """From now on, whoever the issuer says is this subject signs in as this account."""
    not_reserved(account)
    _check_issuer(data.issuer, caller.platform)
    known_account(await find_account(caller.platform.reader, account))
    await identify_accounts(caller.platform)
    made = partial(caller.events, account_stream(account))
    linked = await link(caller.platform, account, Subject(data.issuer, data.subject), made)
    index = await caller.platform.store.wait_sealed(linked.event.id) if linked.event else None
    return {"account": account, "login": linked.login, "log_index": index}


@delete("/v1/accounts/{account:str}/logins/{login:str}", action="identity", status_code=200)
async def unlink_login(account: str, login: str, caller: Caller) -> dict[str, Any]:
    """Nobody signs in by it any more, and who did is signed out."""

    def decide(state: Account) -> list[Event]:
        if login not in known_account(state).logins:
            raise not_found(
                f"login {login[:40]} of {account}", "see `hallmark account show`, or it is unlinked already"
            )
        return [LoginUnlinked(account=account, login=login)]

    written = await caller.decide(account_stream(account), Account(), decide)
    await Logins(caller.platform.pool).drop(login)
    return written.document(login=login)


@post("/v1/accounts/{account:str}/workloads", action="identity")
async def bind_workload(account: str, data: NewWorkload, caller: Caller) -> dict[str, Any]:
    """From now on, pipelines whose tokens carry these claims come as this service account, without a secret."""
    not_reserved(account)
    _check_issuer(data.issuer, caller.platform)
    if all(value.endswith("*") for value in data.claims.values()):
        raise invalid("every value ends with `*`", "give at least one claim whole, such as repository", "/claims")
    bound = WorkloadBound(account=account, workload=new_workload(), issuer=data.issuer, claims=data.claims)

    def decide(state: Account) -> list[Event]:
        if known_account(state).kind != "service":
            raise invalid(f"{account} is a human's", "bind pipelines to an account made with `--service`", "/account")
        return [] if _same(state, bound) else [bound]

    await Logins(caller.platform.pool).bind(data.issuer, account)
    written = await caller.decide(account_stream(account), Account(), decide)
    state = await find_account(caller.platform.reader, account)
    return written.document(account=account, workload=_same(state, bound))


@delete("/v1/accounts/{account:str}/workloads/{workload:str}", action="identity", status_code=200)
async def unbind_workload(account: str, workload: str, caller: Caller) -> dict[str, Any]:
    """Such pipelines come as this account no more."""

    def decide(state: Account) -> list[Event]:
        if workload not in known_account(state).workloads:
            raise not_found(f"workload {workload[:40]} of {account}", "see `hallmark account show`")
        return [WorkloadUnbound(account=account, workload=workload)]

    return (await caller.decide(account_stream(account), Account(), decide)).document(workload=workload)


@delete("/v1/accounts/{account:str}/sessions/{session:str}", action="identity", status_code=200)
async def close_session(account: str, session: str, caller: Caller) -> dict[str, Any]:
    """Sign somebody out."""

    def decide(state: Account) -> list[Event]:
        if session not in known_account(state).sessions:
            raise not_found(f"session {session[:40]} of {account}", "see `hallmark account show`, or it is over")
        return [SessionClosed(account=account, session=session)]

    return (await caller.decide(account_stream(account), Account(), decide)).document(session=session)


def _same(state: Account, bound: WorkloadBound) -> str | None:
    same = (i for i, w in state.workloads.items() if (w.issuer, dict(w.claims)) == (bound.issuer, bound.claims))
    return next(same, None)


def _check_issuer(issuer: str, platform: Platform) -> None:
    known = sorted(OidcConfig.of(platform.settings).audiences)
    if issuer not in known:
        ours = f"it is one of {', '.join(known)}, letter by letter" if known else "none is set"
        raise invalid(
            f"no tokens of {issuer[:200]} are taken here", f"{ours} (HALLMARK_OIDC_ISSUER, HALLMARK_OIDC_ISSUERS)",
            field="/issuer",
        )  # fmt: skip


ROUTES = [link_login, unlink_login, bind_workload, unbind_workload, close_session]
