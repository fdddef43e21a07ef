"""The web pages. They read, and change nothing: decisions are signed with the reviewers' own keys elsewhere."""

from dataclasses import asdict
from typing import Any, Final
from urllib.parse import urlencode

import structlog
from litestar import Request, Response, Router, get
from litestar.exceptions import HTTPException
from litestar.response import Redirect
from registry_core.handlers import load
from registry_core.http.authorisation import IN_PATH, LISTED
from registry_core.http.caller import Caller
from registry_core.problems import Problem, not_found
from registry_core.projections import Projection, stands_at, wait_projected
from registry_core.service import Platform
from registry_core.values import Kind, RiskTier, State, parse_ref
from registry_core.version import Version

from hallmark_console import queries, version_page
from hallmark_console.lineage import Asked, readable, walk
from hallmark_console.portfolio import attention
from hallmark_console.projections import FINDINGS, PROJECTIONS, REVIEW_QUEUE, VERSION_OVERVIEW, VERSION_TIMELINE
from hallmark_console.queries import PAGE_SIZE, TIMELINE_SIZE, Search
from hallmark_console.rendering import page, who

log = structlog.get_logger()
AnyRequest = Request[Any, Any, Any]
CATCH_UP_SECONDS: Final = 2.0
LINEAGE_DEPTH: Final = 6
LINEAGE_SIZE: Final = 60
"""Versions each way on a version's page; the rest is for `hallmark lineage`."""


@get("/", action="read", asset=LISTED, include_in_schema=False)
async def portfolio(request: AnyRequest, platform: Platform, caller: Caller) -> Response[str]:
    """Counts, what wants attention, and the table of versions."""
    search, reach = _search(request), caller.account.reach("read")
    live = await _live(request, platform, VERSION_OVERVIEW)
    rows, total = await queries.versions(platform.pool, search, reach)
    now = platform.clock()
    return page(
        "portfolio.html", **who(caller), now=now, live=live, search=search, rows=rows, total=total,
        pages=-(-total // PAGE_SIZE), link=lambda **changes: _link(search, **changes),
        counts=await queries.state_counts(platform.pool, reach), coverage=await queries.coverage(platform.pool, reach),
        attention=attention(await queries.wanting_attention(platform.pool, now, reach), now),
        states=list(State), kinds=list(Kind), tiers=list(RiskTier),
    )  # fmt: skip


@get("/versions/{ref:str}", action="read", asset=IN_PATH, include_in_schema=False)
async def version(ref: str, request: AnyRequest, platform: Platform, caller: Caller) -> Response[str]:
    """Everything about one version. What it is comes from its own stream, what happened from the timeline."""
    state = await _load(platform, ref)
    live = await _live(request, platform, VERSION_TIMELINE, ref=ref)
    before = _number(request.query_params.get("before"))
    promotions = await queries.promotions_of(platform.pool, ref)
    walked = await walk(platform.pool, Asked(ref, depth=LINEAGE_DEPTH, limit=LINEAGE_SIZE))
    graph = readable(walked, caller.account.reach("read"))
    now = platform.clock()
    return page(
        "version.html", **who(caller), now=now, live=live, v=state, parts=parse_ref(ref), before=before,
        timeline=await queries.timeline(platform.pool, ref, before), page_size=TIMELINE_SIZE, promotions=promotions,
        refusal=version_page.standing_refusal(promotions), checks=version_page.checks(state),
        approvals=version_page.approvals(state, now), lineage=version_page.lineage(graph),
    )  # fmt: skip


@get("/reviews", action="read", asset=LISTED, include_in_schema=False)
async def reviews(request: AnyRequest, platform: Platform, caller: Caller) -> Response[str]:
    """Promotions that wait for people, and those decided last."""
    live = await _live(request, platform, REVIEW_QUEUE)
    found = await queries.reviews(platform.pool, caller.account.reach("read"))
    return page("reviews.html", **who(caller), now=platform.clock(), live=live, queue=found)


@get("/findings", action="read", asset=LISTED, include_in_schema=False)
async def findings(request: AnyRequest, platform: Platform, caller: Caller) -> Response[str]:
    """What checks found and nobody has mended yet."""
    live = await _live(request, platform, FINDINGS)
    rows = await queries.open_findings(platform.pool, caller.account.reach("read"))
    return page("findings.html", **who(caller), now=platform.clock(), live=live, rows=rows)


async def _load(platform: Platform, ref: str) -> Version:
    try:
        parse_ref(ref)
    except ValueError as error:
        raise Problem(404, "not-found", str(error), fix="open the version from the portfolio") from error
    state = await load(platform.reader, Version(), ref)
    if not state.exists:
        raise not_found(f"version {ref}", "check the reference, or register it with POST /v1/versions")
    return state


async def _live(request: AnyRequest, platform: Platform, projection: Projection, **filters: str) -> str:
    """Where the page subscribes to its changes. With `at_least`, first wait until all views have that change."""
    if at_least := _number(request.query_params.get("at_least")):
        for each in PROJECTIONS:
            if not await wait_projected(platform.pool, platform.notifier, each, at_least, CATCH_UP_SECONDS):
                break  # a page that lags is better than none
    after = await stands_at(platform.pool, projection)
    return f"/v1/views/{projection.name}/live?{urlencode({**filters, 'after': after})}"


def _search(request: AnyRequest) -> Search:
    wanted = request.query_params
    texts = {name: wanted.get(name, "") for name in ("q", "state", "kind", "risk")}
    return Search(**texts, page=max(1, min(_number(wanted.get("page")) or 1, 100_000)))


def _link(search: Search, **changes: Any) -> str:
    """The portfolio narrowed differently; on its first page unless a page is named."""
    wanted = {**asdict(search), "page": 1, **changes}
    query = urlencode({name: value for name, value in wanted.items() if value not in ("", 1)})
    return f"/?{query}" if query else "/"


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def problem_page(request: AnyRequest, error: Problem) -> Response[Any]:
    """Problems as pages; who is not signed in is sent to do that first."""
    if error.status == 401:
        return Redirect(_login_link(request), status_code=303)
    return page(
        "problem.html", status_code=error.status, account=getattr(request.scope.get("user"), "account", None),
        title=error.document()["title"], detail=error.detail, fix=error.fix,
    )  # fmt: skip


def _login_link(request: AnyRequest) -> str:
    if token := request.query_params.get("token"):
        return f"/login?{urlencode({'token': token})}"
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return "/login" if path == "/" else f"/login?{urlencode({'next': path})}"


def http_error_page(request: AnyRequest, error: HTTPException) -> Response[Any]:
    """What the framework refuses, as a page."""
    return problem_page(request, Problem(error.status_code, "refused", error.detail, fix="go back to the portfolio"))


PAGES: Final = Router(
    path="/",
    route_handlers=[portfolio, version, reviews, findings],
    exception_handlers={Problem: problem_page, HTTPException: http_error_page},
)
