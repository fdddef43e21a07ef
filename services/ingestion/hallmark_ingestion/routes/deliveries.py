"""What sources send: the way in, which each source's own proof opens; and the inbox, for administrators."""

from base64 import b64encode
from dataclasses import asdict
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.background_tasks import BackgroundTask
from litestar.params import Parameter
from registry_core import inbox
from registry_core.http.openapi import with_body
from registry_core.inbox import Delivery, Outcome
from registry_core.personal import ERASED
from registry_core.problems import Problem, conflict, not_found
from registry_core.service import Platform
from registry_core.sources import find_source
from registry_core.telemetry import REFUSALS

from hallmark_ingestion.sources.connecting import required
from hallmark_ingestion.sources.receiving import Receiving, Refused

MOST_BYTES: Final = 2 * 1024 * 1024
"""Of a delivery: a release with a thousand assets has about so much."""
LONGEST_TEXT: Final = 64 * 1024
AnyRequest = Request[Any, Any, Any]


@post(
    "/v1/sources/{name:str}/deliveries",
    public=True,
    counted_by="name",
    security=[{}],
    request_max_body_size=MOST_BYTES,
    operation_class=with_body("application/json"),
)
async def receive(name: str, request: AnyRequest, platform: Platform) -> Response[dict[str, Any]]:
    """A delivery. 202: it is kept and will be handled; 200: it was known, or there is nothing to do."""
    receiving = Receiving(platform)
    headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in request.scope["headers"]}
    found = await receiving.receive(name, headers, await request.body())
    if isinstance(found, Refused):
        return _problem(_refusal(found), BackgroundTask(receiving.keep, found))
    request.app.state.limits.proven(request, "name")
    return _known(found.delivery) if found.known else _answer(found.delivery)


def _known(delivery: Delivery) -> Response[dict[str, Any]]:
    return Response({"delivery": str(delivery.id), "outcome": delivery.outcome, "known": True}, status_code=200)


def _answer(delivery: Delivery) -> Response[dict[str, Any]]:
    document: dict[str, Any] = {"delivery": str(delivery.id), "outcome": delivery.outcome}
    match delivery.outcome:
        case "conflict":
            fix = "give every delivery an id of its own"
            return _problem(Problem(409, "same-id-other-content", delivery.reason, fix=fix, **document))
        case "failed":
            fix = "mend it at the source and have it sent anew; it is kept in the inbox"
            return _problem(Problem(422, "unreadable-delivery", delivery.reason, fix=fix, **document))
        case "waiting":
            return Response(document, status_code=202)
        case _:
            return Response(document, status_code=200)


def _refusal(refused: Refused) -> Problem:
    if refused.stale:
        return Problem(400, "stale-delivery", refused.reason, fix="set the clocks by NTP")
    return Problem(
        401, "unproven-delivery", "no source of this name accepts this delivery",
        fix="an administrator sees why: `hallmark source deliveries NAME`, and `hallmark source test NAME`",
    )  # fmt: skip


def _problem(problem: Problem, background: BackgroundTask | None = None) -> Response[dict[str, Any]]:
    REFUSALS.labels(problem.slug).inc()
    return Response(
        problem.document(), status_code=problem.status, media_type="application/problem+json", background=background
    )


@get("/v1/sources/{name:str}/deliveries", action="sources")
async def list_deliveries(
    name: str,
    platform: Platform,
    outcome: Outcome | None = None,
    limit: Annotated[int, Parameter(ge=1, le=1000)] = 100,
) -> list[dict[str, Any]]:
    """The newest first, without their content."""
    if (await find_source(platform.reader, name)).version < 0:
        raise not_found(f"the source {name[:64]}", "`hallmark source list` names those there are")
    return [_summary(each) for each in await inbox.listing(platform.pool, name, outcome, limit)]


@get("/v1/deliveries/{delivery:str}", action="sources")
async def show_delivery(delivery: str, platform: Platform) -> dict[str, Any]:
    """One of them, whole."""
    found = await _found(platform, delivery)
    text = found.body.decode("utf-8", "backslashreplace")[:LONGEST_TEXT]
    return {**_summary(found), "headers": found.headers, "body": b64encode(found.body).decode(), "text": text}


@post("/v1/deliveries/{delivery:str}/replay", action="sources", status_code=202)
async def replay_delivery(delivery: str, platform: Platform) -> dict[str, Any]:
    """Have it handled again, once its cause is mended; what it brought about before is not brought about twice."""
    found = await _found(platform, delivery)
    if found.outcome in ("refused", "conflict"):
        fix = "mend the cause, and have the source send it anew"
        raise conflict(f"delivery {found.id} was not taken in: {found.reason}", fix)
    if found.reason == ERASED:
        raise conflict(f"the content of delivery {found.id} was erased", "have the source send it anew")
    required(await find_source(platform.reader, found.source), found.source)
    await inbox.replay_delivery(platform.pool, found)
    return {"delivery": str(found.id), "outcome": "waiting"}


async def _found(platform: Platform, text: str) -> Delivery:
    try:
        found = await inbox.find(platform.pool, UUID(text))
    except ValueError:
        found = None
    if found is None:
        raise not_found(f"delivery {text[:64]}", "`hallmark source deliveries NAME` lists them")
    return found


def _summary(delivery: Delivery) -> dict[str, Any]:
    about = {name: value for name, value in asdict(delivery).items() if name not in ("headers", "body")}
    return {**about, "id": str(delivery.id)}


ROUTES = [receive, list_deliveries, show_delivery, replay_delivery]
