"""Puts approval together."""

from contextlib import suppress
from uuid import UUID

from registry_core.events import Event, NewEvent, Origin, derived_id
from registry_core.events.base import NAMESPACE
from registry_core.events.evidence import (
    ArtifactScanned,
    DependenciesScanned,
    EvaluationAssessed,
    EvidenceAttached,
    ProvenanceVerified,
    VulnerabilityFound,
)
from registry_core.events.governance import PolicyActivated, SigningKeyRegistered
from registry_core.events.promotions import (
    PromotionApproved,
    PromotionOpened,
    PromotionRefused,
    PromotionRejected,
    PromotionRequested,
    ReviewOpened,
)
from registry_core.events.versions import DependencyChanged, MetadataAmended
from registry_core.identity import account_stream
from registry_core.proofs.keys import key_id, public_base64
from registry_core.proofs.pack.signatures import DECIDER
from registry_core.service import Platform, Service
from registry_core.store import ANY, NONE, Append, DuplicateEventError
from registry_core.values import policy_stream, sha256_digest

from hallmark_approval.handlers import (
    AUDIT,
    audit_open_promotions,
    auditing,
    mark_candidate,
    mark_outcome,
    open_promotion,
)
from hallmark_approval.policy import baseline_pack, load_pack
from hallmark_approval.process import ACTIVE_POLICY
from hallmark_approval.routes import make_routes

AUDITED_AFTER = (
    PromotionOpened,
    ArtifactScanned,
    DependenciesScanned,
    ProvenanceVerified,
    EvaluationAssessed,
    VulnerabilityFound,
    DependencyChanged,
    EvidenceAttached,
    MetadataAmended,
)


def build(platform: Platform) -> Service:
    """The approval service."""
    signing_key = platform.signing_key("decisions")

    async def register_key() -> None:
        """Whoever verifies decisions finds their key in the log."""
        public = signing_key.public_key()
        event = SigningKeyRegistered(
            account=DECIDER, key_id=key_id(public), public_key=public_base64(public), purpose="decision"
        )
        await _append_once(
            platform, account_stream(DECIDER), event, derived_id(NAMESPACE, "decision-key", event.key_id)
        )

    async def activate_baseline() -> None:
        """The first policy of a new installation; any later one is activated by a manager."""
        raw = baseline_pack()
        activated = PolicyActivated(
            name=ACTIVE_POLICY, version=load_pack(raw).document.version, digest=sha256_digest(raw),
            document=raw.decode(), activated_by=DECIDER,
        )  # fmt: skip
        stream = policy_stream(ACTIVE_POLICY)
        await _append_once(platform, stream, activated, derived_id(NAMESPACE, "first-policy"), expected=NONE)

    return Service(
        name="approval",
        routes=make_routes(signing_key),
        handlers={
            PromotionRequested: open_promotion,
            ReviewOpened: mark_candidate,
            PromotionRefused: mark_outcome,
            PromotionRejected: mark_outcome,
            PromotionApproved: mark_outcome,
            **dict.fromkeys(AUDITED_AFTER, audit_open_promotions),
        },
        jobs={AUDIT: auditing(platform.objects)},
        background=[register_key, activate_baseline],
    )


async def _append_once(
    platform: Platform, stream: str, data: Event, event_id: UUID, expected: int | None = ANY
) -> None:
    origin = Origin(actor=DECIDER, occurred_at=platform.clock(), correlation_id=event_id)
    with suppress(DuplicateEventError):  # an earlier release wrote its own
        await platform.store.append(Append(stream, [NewEvent(id=event_id, data=data, origin=origin)], expected))
