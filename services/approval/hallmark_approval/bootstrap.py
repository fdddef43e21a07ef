"""Puts approval together."""

from registry_core.events import NewEvent, Origin, derived_id
from registry_core.events.base import NAMESPACE
from registry_core.events.evidence import (
    ArtifactScanned,
    DependenciesScanned,
    EvaluationAssessed,
    ProvenanceVerified,
    VulnerabilityFound,
)
from registry_core.events.governance import PolicyActivated
from registry_core.events.promotions import (
    PromotionApproved,
    PromotionOpened,
    PromotionRefused,
    PromotionRejected,
    PromotionRequested,
    ReviewOpened,
)
from registry_core.events.versions import DependencyChanged
from registry_core.service import Platform, Service
from registry_core.store import NONE, Append
from registry_core.values import sha256_digest

from hallmark_approval.handlers import audit_open_promotions, mark_candidate, mark_outcome, open_promotion
from hallmark_approval.policy import baseline_pack, load_pack
from hallmark_approval.process import ACTIVE_POLICY, policy_stream
from hallmark_approval.routes import make_routes

AUDITED_AFTER = (
    PromotionOpened,
    ArtifactScanned,
    DependenciesScanned,
    ProvenanceVerified,
    EvaluationAssessed,
    VulnerabilityFound,
    DependencyChanged,
)


def build(platform: Platform) -> Service:
    """The approval service."""

    async def activate_baseline() -> None:
        """The first policy of a new installation; any later one is activated by a manager."""
        raw = baseline_pack()
        activated = PolicyActivated(
            name=ACTIVE_POLICY, version=load_pack(raw).document.version, digest=sha256_digest(raw),
            document=raw.decode(), activated_by="service:approval",
        )  # fmt: skip
        cause = derived_id(NAMESPACE, "first-policy")
        origin = Origin(actor="service:approval", occurred_at=platform.clock(), correlation_id=cause)
        await platform.store.append(
            Append(policy_stream(ACTIVE_POLICY), [NewEvent(id=cause, data=activated, origin=origin)], NONE)
        )

    return Service(
        name="approval",
        routes=make_routes(platform.signing_key("decisions")),
        handlers={
            PromotionRequested: open_promotion,
            ReviewOpened: mark_candidate,
            PromotionRefused: mark_outcome,
            PromotionRejected: mark_outcome,
            PromotionApproved: mark_outcome,
            **dict.fromkeys(AUDITED_AFTER, audit_open_promotions),
        },
        background=[activate_baseline],
    )
