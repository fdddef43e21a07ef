"""Whether a caller may do what a route does, to the asset that the request is about: docs/authorisation.md.

A route says with `asset=` how its asset is found. One that does not say so, or whose asset cannot be found, is only for
whoever holds the action everywhere.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from registry_core.access import ACTIONS, UNNARROWED, asset_of
from registry_core.events import RecordedEvent
from registry_core.events.promotions import PromotionRequested
from registry_core.identity import Account
from registry_core.problems import Problem, forbidden
from registry_core.values import promotion_stream

Connection = ASGIConnection[Any, Any, Any, Any]
LISTED: Final = "listed"
"""The answer is narrowed to what the caller may read."""
EACH: Final = "each"
"""The handler asks for each of the assets that the body names: `Caller.require`."""
NONE: Final = "none"
"""It is about no asset: who holds the action for some asset may."""
_OPEN: Final = frozenset({LISTED, EACH, NONE})


async def authorise(connection: Connection, handler: BaseRouteHandler, account: Account) -> None:
    """Raises Problem 403. Whoever holds the action everywhere is asked for nothing more."""
    action, source = handler.opt.get("action", ""), handler.opt.get("asset", "")
    reach = account.reach(action)
    if reach.everywhere or (reach and source in _OPEN):
        return
    find = _FOUND_BY.get(source)
    require(account, action, await find(connection) if find and reach else None)


def require(account: Account, action: str, asset: str | None) -> None:
    """Raises Problem 403. No asset: the action has to be held everywhere."""
    if not account.may(action, asset):
        raise _refused(account, action, asset)


def _refused(account: Account, action: str, asset: str | None) -> Problem:
    what = f"{action or 'do this'}{f' on {asset}' if asset else ''}"
    if account.scope != UNNARROWED:
        detail, fix = f"this token of {account.account} may not {what}", "use a token that is not narrowed so far"
    else:
        holders = ", ".join(sorted(ACTIONS.get(action, ()))) or "nobody"
        where = f"on {asset}, or everywhere" if asset else "everywhere"
        detail, fix = f"{account.account} may not {what}", f"ask an administrator for one of these, {where}: {holders}"
    return forbidden(detail, fix, action=action, asset=asset, roles=sorted(account.roles))


async def _in_path(connection: Connection) -> str | None:
    named = connection.path_params
    return asset_of(str(named.get("ref") or named.get("asset") or ""))


async def _in_query(connection: Connection) -> str | None:
    return asset_of(connection.query_params.get("ref", ""))


async def _in_body(connection: Connection) -> str | None:
    """`ref` of a JSON object. A body that is none names no asset."""
    if not isinstance(connection, Request):
        return None
    body = await connection.json()
    named = body.get("ref") if isinstance(body, dict) else None
    return asset_of(named) if isinstance(named, str) else None


async def _of_promotion(connection: Connection) -> str | None:
    """Of the version that the promotion is for; None where nobody requested it."""
    stream = promotion_stream(str(connection.path_params.get("promotion", "")))
    events: list[RecordedEvent] = await connection.app.state.questions.streams(stream)
    requested = events[0].data if events else None
    return asset_of(requested.ref) if isinstance(requested, PromotionRequested) else None


IN_PATH: Final = "path"
IN_QUERY: Final = "query"
IN_BODY: Final = "body"
OF_PROMOTION: Final = "promotion"
_FOUND_BY: Final[Mapping[str, Callable[[Connection], Awaitable[str | None]]]] = {
    IN_PATH: _in_path,
    IN_QUERY: _in_query,
    IN_BODY: _in_body,
    OF_PROMOTION: _of_promotion,
}
