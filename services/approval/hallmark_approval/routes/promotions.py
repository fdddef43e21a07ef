"""Asking for a promotion, and where it stands."""

from typing import Annotated, Any

from litestar import get, post
from pydantic import Field
from registry_core.events.promotions import PromotionRequested
from registry_core.http import Caller
from registry_core.http.authorisation import IN_BODY, OF_PROMOTION
from registry_core.service import Platform
from registry_core.values import Name, Ref, UseContext, Value, promotion_stream

from hallmark_approval.process import PromotionStream
from hallmark_approval.routes.lookup import registered, requested

Comment = Annotated[str, Field(max_length=4000)]


class RequestPromotion(Value):
    ref: Ref
    context: UseContext
    environment: Name = "production"
    expedite: bool = False
    reason: Comment | None = None


@post("/v1/promotions", action="promote", asset=IN_BODY, status_code=202)
async def request_promotion(data: RequestPromotion, caller: Caller) -> dict[str, Any]:
    """Ask for a version to be approved for a use context. The audit starts by itself once every check is in."""
    version, promotion = await registered(caller, data.ref), caller.seed.hex
    requested = PromotionRequested(
        promotion=promotion, digest=version.digest, requested_by=caller.name, **data.model_dump(exclude={"context"}),
        context=data.context,
    )  # fmt: skip
    written = await caller.decide(
        promotion_stream(promotion), PromotionStream(), lambda state: [] if state.promotion else [requested]
    )
    return written.document(promotion=promotion, ref=data.ref)


@get("/v1/promotions/{promotion:str}", action="read", asset=OF_PROMOTION)
async def read_promotion(promotion: str, platform: Platform) -> dict[str, Any]:
    """Where the promotion stands: rule results, reasons when refused, reviews, the signed decision."""
    state, current = await requested(platform, promotion)
    return {
        "promotion": promotion,
        "ref": current.ref,
        "status": current.stage.value.replace(" ", "_"),
        "context": current.context.model_dump(),
        "environment": current.environment,
        "requested_by": current.requested_by,
        "policy": current.policy,
        "policy_digest": current.policy_digest,
        "results": [item.model_dump() for item in state.audit.results] if state.audit else [],
        "reasons": [item.model_dump() for item in state.refusal.reasons] if state.refusal else [],
        "roles": list(current.roles),
        "reviews": [
            {"role": r.role, "reviewer": r.reviewer, "person": r.person, "outcome": r.outcome} for r in current.reviews
        ],
        "expires_at": current.expires_at,
        "decision_digest": current.decision_digest,
    }


ROUTES: list[Any] = [request_promotion, read_promotion]
