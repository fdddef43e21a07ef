"""`review_queue`: one row per promotion, from request to decision."""

from collections.abc import Iterable
from typing import get_args

from registry_core.events import Event
from registry_core.events.promotions import (
    PolicyEvaluated,
    PromotionApproved,
    PromotionRefused,
    PromotionRejected,
    PromotionRequested,
    ReviewOpened,
    ReviewRecorded,
    ReviewRefused,
    RuleResult,
)
from registry_core.projections import Entry, Projection, Row, types_of

from hallmark_console.projections.rows import data_of, row_key

COLUMNS = """
    promotion text,
    ref text,
    context text,
    environment text,
    requested_by text,
    request_reason text,
    expedite boolean,
    status text,
    policy text,
    policy_digest text,
    warnings jsonb,
    required_roles jsonb,
    waiting_for jsonb,
    reviews jsonb,
    refused_reviews jsonb,
    reasons jsonb,
    opened_at timestamptz,
    closed_at timestamptz,
    expires_at timestamptz"""

_Process = (
    PromotionRequested
    | PolicyEvaluated
    | PromotionRefused
    | ReviewOpened
    | ReviewRecorded
    | ReviewRefused
    | PromotionApproved
    | PromotionRejected
)


def keys(event: Entry) -> Iterable[str]:
    data = data_of(event)
    return (row_key(data.promotion),) if isinstance(data, _Process) else ()


def evolve(row: Row | None, event: Entry) -> Row | None:
    """The promotion's row after one more event of its process."""
    data = data_of(event)
    at = event.recorded_at.isoformat()
    if isinstance(data, PromotionRequested):
        changes = _requested(data, at)
    elif row is None or data is None:
        return None
    else:
        changes = _decided(data, at) or _reviewed(row, data, at)
    return {**(row or {}), **changes}


def _requested(data: PromotionRequested, at: str) -> Row:
    return {
        "promotion": data.promotion, "ref": data.ref, "context": str(data.context), "environment": data.environment,
        "requested_by": data.requested_by, "request_reason": data.reason, "expedite": data.expedite,
        "status": "auditing", "policy": None, "policy_digest": None, "warnings": [],
        "required_roles": [], "waiting_for": [], "reviews": [], "refused_reviews": [], "reasons": [],
        "opened_at": at, "closed_at": None, "expires_at": None,
    }  # fmt: skip


def _decided(data: Event, at: str) -> Row:
    match data:
        case PromotionRefused(reasons=reasons):
            return {"status": "refused", "reasons": [_reason(item) for item in reasons], "closed_at": at}
        case PromotionApproved(expires_at=expires_at):
            return {"status": "approved", "waiting_for": [], "expires_at": expires_at.isoformat(), "closed_at": at}
        case PromotionRejected():
            return {"status": "rejected", "reasons": [_rejection(data)], "closed_at": at}
        case _:
            return {}


def _reviewed(row: Row, data: Event, at: str) -> Row:
    match data:
        case PolicyEvaluated():
            warnings = [_reason(item) for item in data.results if item.outcome == "fail" and item.mode == "warn"]
            return {"policy": data.policy, "policy_digest": data.policy_digest, "warnings": warnings}
        case ReviewOpened(roles=roles):
            return {"status": "in review", "required_roles": list(roles), "waiting_for": list(roles)}
        case ReviewRecorded():
            given = {"role": data.role, "reviewer": data.reviewer, "outcome": data.outcome, "comment": data.comment}
            reviews = [*row["reviews"], {**given, "at": at}]
            return {"reviews": reviews, "waiting_for": waiting_for(row["required_roles"], reviews)}
        case ReviewRefused():
            refused = {"role": data.role, "reviewer": data.reviewer, **_reason(data.reason), "at": at}
            return {"refused_reviews": [*row["refused_reviews"], refused]}
        case _:
            return {}


def waiting_for(roles: Iterable[str], reviews: Iterable[Row]) -> list[str]:
    """The roles whose newest review, if any, is no approval."""
    newest = {review["role"]: review["outcome"] for review in reviews}
    return [role for role in roles if newest.get(role) != "approve"]


def _reason(result: RuleResult) -> Row:
    return {
        "rule": result.rule, "title": result.title, "detail": result.detail, "evidence": list(result.evidence),
        "owner": result.owner, "fix": result.fix,
    }  # fmt: skip


def _rejection(data: PromotionRejected) -> Row:
    return {
        "rule": f"review:{data.role}", "title": f"Rejected by the {data.role} reviewer", "detail": data.comment,
        "evidence": [], "owner": data.reviewer, "fix": "",
    }  # fmt: skip


REVIEW_QUEUE = Projection(
    "review_queue", 1, COLUMNS, keys, evolve,
    types=types_of(*get_args(_Process)), indexes={"by_ref": "ref"},
)  # fmt: skip
