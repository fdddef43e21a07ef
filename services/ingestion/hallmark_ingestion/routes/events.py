"""CloudEvents over HTTP: binary, structured and batch."""

from typing import Any

from litestar import Request, Response, post
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import OpenAPIFormat, OpenAPIType, Reference, Schema
from registry_core.http import Caller
from registry_core.http.authorisation import EACH
from registry_core.http.openapi import with_body
from registry_core.problems import Problem

from hallmark_ingestion.intake.batch import allowed_to, carry_out
from hallmark_ingestion.intake.bindings import BATCH, STRUCTURED, from_request
from hallmark_ingestion.intake.cloudevents import MOST_IN_A_BATCH
from hallmark_ingestion.intake.commands import ACCEPTED
from hallmark_ingestion.intake.conflicts import keep_conflicts

_TEXT = Schema(type=OpenAPIType.STRING, min_length=1, max_length=512)
_EVENT = Schema(
    type=OpenAPIType.OBJECT,
    description="CloudEvents 1.0, JSON format; docs/pipelines.md",
    required=["specversion", "id", "source", "type", "data"],
    properties={
        "specversion": Schema(type=OpenAPIType.STRING, enum=["1.0"]),
        "id": _TEXT,
        "source": _TEXT,
        "type": Schema(type=OpenAPIType.STRING, enum=list(ACCEPTED)),
        "time": Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.DATE_TIME),
        "data": Reference(ref="#/components/schemas/RegisterVersion"),
    },
)
_BODY = with_body({STRUCTURED: _EVENT, BATCH: Schema(type=OpenAPIType.ARRAY, items=_EVENT, max_items=MOST_IN_A_BATCH)})
_EACH = ResponseSpec(list[dict[str, Any]], description="Of a batch, an outcome for each", generate_examples=False)


@post("/v1/events", action="register", asset=EACH, status_code=202, operation_class=_BODY, responses={207: _EACH})
async def take_events(request: Request[Any, Any, Any], caller: Caller) -> Response[Any]:
    """One event (202), or a batch with an outcome for each (207): acknowledged is durable, though not yet sealed."""
    sent = from_request(request.scope["headers"], await request.body())
    events = sent if isinstance(sent, list) else [sent]
    outcomes = await carry_out(caller.platform, events, caller.name, allowed_to(caller.account))
    await keep_conflicts(caller.platform, caller.name, events, outcomes)
    if isinstance(sent, list):
        return Response([_document(outcome) for outcome in outcomes], status_code=207)
    if isinstance(outcomes[0], Problem):
        raise outcomes[0]
    return Response(outcomes[0], status_code=202)


def _document(outcome: Any) -> dict[str, Any]:
    return outcome.document() if isinstance(outcome, Problem) else {"status": 202, **outcome}


ROUTES = [take_events]
