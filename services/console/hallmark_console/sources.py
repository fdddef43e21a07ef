"""Pages of sources: what each is, what it sent last, and what came of it. For administrators."""

from typing import Any, Final
from uuid import UUID

from litestar import Request, Response, Router, get
from litestar.exceptions import HTTPException
from registry_core import inbox
from registry_core.http.caller import Caller
from registry_core.inbox import OUTCOMES, Delivery, Tally
from registry_core.problems import Problem, not_found
from registry_core.service import Platform
from registry_core.source_polls import last_polls
from registry_core.sources import all_sources

from hallmark_console.pages import http_error_page, problem_page
from hallmark_console.rendering import page, who

SHOWN: Final = 100
"""Deliveries on a page; the rest is for `hallmark source deliveries`."""
LONGEST_TEXT: Final = 64 * 1024


@get("/sources", action="sources", include_in_schema=False)
async def sources(request: Request[Any, Any, Any], platform: Platform, caller: Caller) -> Response[str]:
    """Every source with its tally, and the newest deliveries, of one source or outcome if asked for."""
    name, outcome = (request.query_params.get(wanted, "") for wanted in ("source", "outcome"))
    tallies = await inbox.tallies(platform.pool)
    found = [(source, tallies.get(source.source, Tally({}, None))) for source in await all_sources(platform.pool)]
    deliveries = await inbox.listing(platform.pool, name or None, outcome or None, SHOWN)
    return page(
        "sources.html", **who(caller), now=platform.clock(), sources=found, name=name,
        outcome=outcome, choices=("", *OUTCOMES), deliveries=deliveries, shown=SHOWN,
        polls=await last_polls(platform.pool),
    )  # fmt: skip


@get("/sources/deliveries/{delivery:str}", action="sources", include_in_schema=False)
async def delivery(delivery: str, platform: Platform, caller: Caller) -> Response[str]:
    """One delivery, whole."""
    found = await _found(platform, delivery)
    text = found.body.decode("utf-8", "backslashreplace")
    return page(
        "delivery.html", **who(caller), now=platform.clock(), d=found,
        text=text[:LONGEST_TEXT], cut=len(text) > LONGEST_TEXT,
    )  # fmt: skip


async def _found(platform: Platform, text: str) -> Delivery:
    try:
        found = await inbox.find(platform.pool, UUID(text))
    except ValueError:
        found = None
    if found is None:
        raise not_found("this delivery", "open it from the list of sources; its time may be over")
    return found


SOURCE_PAGES: Final = Router(
    path="/",
    route_handlers=[sources, delivery],
    exception_handlers={Problem: problem_page, HTTPException: http_error_page},
)
