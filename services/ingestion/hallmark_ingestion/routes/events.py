"""CloudEvents over HTTP: binary, structured and batch."""

from typing import Any

from litestar import Request, Response, post
from registry_core.http import Caller
from registry_core.problems import Problem

from hallmark_ingestion.bindings import from_request
from hallmark_ingestion.conflicts import keep_conflicts
from hallmark_ingestion.intake import carry_out


@post("/v1/events", action="register")
async def take_events(request: Request[Any, Any, Any], caller: Caller) -> Response[Any]:
    """One event (202), or a batch with an outcome for each (207): acknowledged is durable, though not yet sealed."""
    sent = from_request(request.scope["headers"], await request.body())
    events = sent if isinstance(sent, list) else [sent]
    outcomes = await carry_out(caller.platform, events, caller.name)
    await keep_conflicts(caller.platform, caller.name, events, outcomes)
    if isinstance(sent, list):
        return Response([_document(outcome) for outcome in outcomes], status_code=207)
    if isinstance(outcomes[0], Problem):
        raise outcomes[0]
    return Response(outcomes[0], status_code=202)


def _document(outcome: Any) -> dict[str, Any]:
    return outcome.document() if isinstance(outcome, Problem) else {"status": 202, **outcome}


ROUTES = [take_events]
