"""The promotion process, driven by events: open, audit when every check is in, mark the version with the outcome."""

from collections.abc import Sequence

from registry_core.events import Event, RecordedEvent
from registry_core.events.lifecycle import VersionApproved, VersionBecameCandidate, VersionReturnedToDraft
from registry_core.events.promotions import (
    PromotionApproved,
    PromotionClosed,
    PromotionOpened,
    PromotionRefused,
    PromotionRejected,
    PromotionRequested,
    ReviewOpened,
)
from registry_core.handlers import Effect, Emit, Reader, load
from registry_core.values import State
from registry_core.version import IllegalTransitionError, Version

from hallmark_approval.decide import decide_audit
from hallmark_approval.policy import Evaluation, evaluate
from hallmark_approval.process import (
    ACTIVE_POLICY,
    PolicyStream,
    PromotionStream,
    evidence_digests,
    facts_about,
    granted,
    policy_stream,
    promotion_stream,
)
from hallmark_approval.promotion import Promotion, Stage


async def open_promotion(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
    """Marks the version, so that every later check outcome finds the promotion that waits for it."""
    data = event.data
    assert isinstance(data, PromotionRequested)
    version = await load(reader, Version(), data.ref)
    if data.promotion in version.open_promotions:
        return []
    return [Emit(data.ref, [PromotionOpened(ref=data.ref, promotion=data.promotion)], version.version)]


async def audit_open_promotions(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
    """Evaluates the active policy for every promotion of the version, once no check is pending."""
    version = await load(reader, Version(), event.stream)
    if not version.open_promotions or version.pending_checks():
        return []
    policy = await load(reader, PolicyStream(), policy_stream(ACTIVE_POLICY))
    pack = policy.pack()
    effects: list[Effect] = []
    for promotion_id in sorted(version.open_promotions):
        state = await load(reader, PromotionStream(), promotion_stream(promotion_id))
        if state.promotion is None:
            continue
        facts = facts_about(version, state.promotion, reader.now)
        evaluation = evaluate(pack, facts, exceptions=granted(version))
        digests = evidence_digests(version)
        if _must_audit(state.promotion, evaluation, digests):
            outcome = decide_audit(state.promotion, evaluation, evidence_digests=digests)
            effects.append(Emit(promotion_stream(promotion_id), outcome, state.version))
    return effects


def _must_audit(promotion: Promotion, evaluation: Evaluation, digests: Sequence[str]) -> bool:
    """At first; and again in review, when what the reviewers look at is no longer what was audited."""
    if promotion.stage is Stage.REQUESTED:
        return True
    changed = sorted(promotion.evidence_digests) != sorted(digests) or not evaluation.passed
    return promotion.stage is Stage.IN_REVIEW and changed


async def mark_candidate(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
    """The audit passed and reviewers were asked."""
    data = event.data
    assert isinstance(data, ReviewOpened)
    version = await load(reader, Version(), data.ref)
    if version.state is not State.DRAFT or data.promotion not in version.open_promotions:
        return []
    return [Emit(data.ref, [VersionBecameCandidate(ref=data.ref, promotion=data.promotion)], version.version)]


async def mark_outcome(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
    """The promotion came to its end: the version is approved, or free again."""
    data = event.data
    assert isinstance(data, PromotionRefused | PromotionRejected | PromotionApproved)
    version = await load(reader, Version(), data.ref)
    if data.promotion not in version.open_promotions:
        return []
    return [Emit(data.ref, _outcome(version, data), version.version)]


def _outcome(version: Version, data: PromotionRefused | PromotionRejected | PromotionApproved) -> list[Event]:
    match data:
        case PromotionApproved():
            return _approved(version, data)
        case PromotionRefused():
            return [*_closed(data, "refused"), *_back_to_draft(version, data.promotion, "the audit refused it")]
        case PromotionRejected(role=role):
            return [*_closed(data, "rejected"), *_back_to_draft(version, data.promotion, f"rejected as {role}")]


def _approved(version: Version, data: PromotionApproved) -> list[Event]:
    """A version suspended or retired while its reviewers deliberated stays so."""
    try:
        version.check_transition(State.APPROVED)
    except IllegalTransitionError:
        return _closed(data, "refused")
    approved = VersionApproved(
        ref=data.ref, promotion=data.promotion, context=data.context, environment=data.environment,
        expires_at=data.expires_at, decision_digest=data.decision_digest,
    )  # fmt: skip
    return [approved, *_closed(data, "approved")]


def _closed(data: PromotionRefused | PromotionRejected | PromotionApproved, outcome: str) -> list[Event]:
    return [PromotionClosed.model_validate({"ref": data.ref, "promotion": data.promotion, "outcome": outcome})]


def _back_to_draft(version: Version, promotion: str, cause: str) -> list[Event]:
    others = version.open_promotions - {promotion}
    if version.state is not State.CANDIDATE or others:
        return []
    return [VersionReturnedToDraft(ref=version.ref, cause=f"promotion {promotion}: {cause}")]
