"""The views over HTTP."""

from typing import Annotated, Any

from litestar import Request, get
from litestar.params import Parameter
from registry_core.access import Reach
from registry_core.aliases import resolve
from registry_core.http import Caller
from registry_core.http.authorisation import IN_PATH, LISTED, NONE
from registry_core.problems import Problem, not_found
from registry_core.projections import stands_at, wait_projected
from registry_core.projections.waiting import BEGINNING, Named
from registry_core.service import Platform

from hallmark_console.catalogue import RESERVED, Filter, View, filter_of, find_view, list_views, within
from hallmark_console.lineage import DEEPEST, MOST_VERSIONS, Asked, Direction, readable, walk
from hallmark_console.live import LiveResponse, Streams, changes
from hallmark_console.projections import LINEAGE, VERSION_OVERVIEW
from hallmark_console.views import MAX_LIMIT, page_of

AnyRequest = Request[Any, Any, Any]
LogIndex = Annotated[int, Parameter(ge=BEGINNING, le=2**63 - 1)]
WAIT_SECONDS = 10.0


@get("/v1/views", action="read", asset=NONE)
async def views(platform: Platform) -> dict[str, Any]:
    """The views there are, with their columns."""
    found = await list_views(platform.pool)
    return {"views": [{"name": v.name, "columns": v.columns, "filterable": v.filterable} for v in found]}


@get("/v1/views/{view:str}", action="read", asset=LISTED)
async def read_view(
    view: str,
    request: AnyRequest,
    platform: Platform,
    caller: Caller,
    *,
    limit: Annotated[int, Parameter(ge=1, le=MAX_LIMIT)] = 100,
    after: LogIndex = BEGINNING,
    at_least: LogIndex = BEGINNING,
    timeout: Annotated[float, Parameter(ge=0, le=30)] = WAIT_SECONDS,
) -> dict[str, Any]:
    """Rows that the caller may read, in the order of their last change; any other parameter is `column=value`.

    With `at_least` the answer contains what the write that returned this log index brought about.
    """
    found = await find_view(platform.pool, view)
    matching = _filter(found, request, caller.account.reach("read"))
    await _wait(platform, found, at_least, timeout)
    return await page_of(platform.pool, found, after, limit, matching)


@get("/v1/views/{view:str}/live", action="read", asset=LISTED, media_type="text/event-stream")
async def live_view(
    view: str, request: AnyRequest, platform: Platform, caller: Caller, after: LogIndex | None = None
) -> LiveResponse:
    """Server-sent events: each changed row as JSON, its log index as id.

    Begins after `Last-Event-ID`, else after `after`, else now. Filters as for the view.
    """
    found = await find_view(platform.pool, view)
    matching = _filter(found, request, caller.account.reach("read"))
    reach = caller.account.reach("read")
    begin = _resumed(request.headers.get("last-event-id"), after)
    begin = await stands_at(platform.pool, found) if begin is None else begin
    streams = _streams(request)
    streams.check(caller.name)
    return LiveResponse(
        changes(
            platform.pool,
            platform.notifier,
            found,
            begin,
            matching=matching,
            allowed=lambda: _still_accepted(request, reach),
        ),
        streams.one(caller.name),
    )


def _streams(request: AnyRequest) -> Streams:
    """Of this process."""
    found: Streams = request.app.state.setdefault("streams", Streams())
    return found


@get("/v1/versions/{ref:str}/lineage", action="read", asset=IN_PATH)
async def read_lineage(
    ref: str,
    platform: Platform,
    caller: Caller,
    *,
    direction: Direction = Direction.BOTH,
    depth: Annotated[int | None, Parameter(ge=1, le=DEEPEST)] = None,
    limit: Annotated[int, Parameter(ge=1, le=MOST_VERSIONS)] = 1000,
    at_least: LogIndex = BEGINNING,
    timeout: Annotated[float, Parameter(ge=0, le=30)] = WAIT_SECONDS,
) -> dict[str, Any]:
    """What a version was made of (`up`) and what was made of it or runs with it (`down`), as nodes and edges.

    Without `depth` to any depth; with `limit` at most so many versions each way, the nearest first. `complete` says
    whether that was all, `cut` what was left out and how to have it.
    """
    wanted = await resolve(platform, ref)
    await _wait(platform, LINEAGE, at_least, timeout)
    await _wait(platform, VERSION_OVERVIEW, at_least, timeout)
    found = await walk(platform.pool, Asked(wanted, direction, depth, limit))
    if [node["state"] for node in found["nodes"]] == [None]:
        raise not_found(wanted, "register it first: `hallmark register`")
    return readable(found, caller.account.reach("read"))


def _filter(view: View, request: AnyRequest, reach: Reach) -> Filter:
    wanted = [(name, value) for name, value in request.query_params.multi_items() if name not in RESERVED]
    return within(view, reach, filter_of(view, wanted, first=3), first=3)


def _resumed(last_event_id: str | None, after: int | None) -> int | None:
    if not last_event_id:
        return after
    if last_event_id.isascii() and last_event_id.isdigit() and int(last_event_id) < 2**63:
        return int(last_event_id)
    raise Problem(
        400, "invalid", "Last-Event-ID is not a log index", fix="send back the id of the last event received",
        field="Last-Event-ID",
    )  # fmt: skip


async def _wait(platform: Platform, view: Named, at_least: int, timeout: float) -> None:
    if not await wait_projected(platform.pool, platform.notifier, view, at_least, timeout):
        raise Problem(
            504, "view-behind", f"{view.name} has not come to log index {at_least} within {timeout:g} s",
            fix="ask again; if it stays behind, look at the metric of the projection's lag and at the console's log",
        )  # fmt: skip


async def _still_accepted(request: AnyRequest, reach: Reach) -> bool:
    """Whether the stream would be the same if it were opened now: a revoked token ends it, and a changed role."""
    try:
        account = await request.app.state.authenticator.account(request)
    except Problem:
        return False
    return bool(account.reach("read") == reach)
