"""CloudEvents over HTTP: binary, structured and batch."""

from typing import Any

from litestar import Request, Response, post
from registry_core.http import Caller
from registry_core.problems import Problem

from hallmark_ingestion.cloudevents import CloudEvent, from_batch, from_binary, from_structured, is_binary
from hallmark_ingestion.commands import carry_out

STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


@post("/v1/events", action="register")
async def take_events(request: Request[Any, Any, Any], caller: Caller) -> Response[Any]:
    """One event, or a batch with an outcome for each."""
    body, media_type = await request.body(), request.headers.get("content-type", "").partition(";")[0]
    if media_type == BATCH:
        outcomes = [await _outcome(caller, event) for event in from_batch(body)]
        return Response(outcomes, status_code=207)
    event = _one(dict(request.headers), media_type, body)
    return Response(await carry_out(caller.platform, event, caller.name), status_code=202)


def _one(headers: dict[str, str], media_type: str, body: bytes) -> CloudEvent:
    if media_type == STRUCTURED:
        return from_structured(body)
    if is_binary(headers, "ce-"):
        return from_binary(headers, body, "ce-")
    raise Problem(
        415, "not-a-cloudevent", f"content type {media_type!r} without ce-specversion header is no CloudEvent",
        fix=f"send {STRUCTURED}, {BATCH}, or binary mode with ce- headers",
    )  # fmt: skip


async def _outcome(caller: Caller, event: CloudEvent) -> dict[str, Any]:
    try:
        return {"id": event.id, "status": 202, **await carry_out(caller.platform, event, caller.name)}
    except Problem as problem:
        return {"id": event.id, **problem.document()}


ROUTES = [take_events]
