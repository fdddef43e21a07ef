"""The promotion process, driven by events: open, audit when every check is in, mark the version with the outcome."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from registry_core.events import Event, RecordedEvent
from registry_core.events.lifecycle import VersionApproved, VersionBecameCandidate, VersionReturnedToDraft
from registry_core.events.promotions import (
    PolicyEvaluated,
    PromotionApproved,
    PromotionClosed,
    PromotionOpened,
    PromotionRefused,
    PromotionRejected,
    PromotionRequested,
    ReviewOpened,
)
from registry_core.handlers import Effect, Emit, Reader, StartJob, load
from registry_core.messaging.jobs import JobFunction
from registry_core.values import State, policy_stream, promotion_stream
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
    is_as_audited,
    what_changed,
)
from hallmark_approval.promotion import Stage
from hallmark_approval.recorded import document

AUDIT: Final = "audit"


class Documents(Protocol):
    """The artifact store."""

    async def put(self, data: bytes) -> str: ...


@dataclass(frozen=True, slots=True)
class _Audit:
    emit: Emit
    document: bytes | None
    """Facts that are to be stored before."""


async def open_promotion(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
    """Marks the version, so that every later check outcome finds the promotion that waits for it."""
    data = event.data
    assert isinstance(data, PromotionRequested)
    version = await load(reader, Version(), data.ref)
    if data.promotion in version.open_promotions:
        return []
    return [Emit(data.ref, [PromotionOpened(ref=data.ref, promotion=data.promotion)], version.version)]


async def audit_open_promotions(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
    """Evaluates the active policy for every promotion of the version, once no check is pending.

    Facts too large for an event have to be stored first, which is a job's work: it then audits once more.
    """
    audits = await _audits(event.stream, reader)
    if any(audit.document for audit in audits):
        return [StartJob(AUDIT, {"ref": event.stream})]
    return [audit.emit for audit in audits]


def auditing(documents: Documents) -> JobFunction:
    """The job that audits a version whose facts are large."""

    async def audit_large(payload: Mapping[str, Any], reader: Reader) -> Sequence[Effect]:
        audits = await _audits(payload["ref"], reader)
        for audit in audits:
            if audit.document:
                await documents.put(audit.document)
        return [audit.emit for audit in audits]

    return audit_large


async def _audits(ref: str, reader: Reader) -> list[_Audit]:
    version = await load(reader, Version(), ref)
    if not version.open_promotions or version.pending_checks():
        return []
    policy = await load(reader, PolicyStream(), policy_stream(ACTIVE_POLICY))
    pack = policy.pack()
    audits: list[_Audit] = []
    for promotion_id in sorted(version.open_promotions):
        state = await load(reader, PromotionStream(), promotion_stream(promotion_id))
        if state.promotion is None:
            continue
        facts = facts_about(version, state.promotion, reader.now)
        evaluation = evaluate(pack, facts, exceptions=granted(version))
        digests = evidence_digests(version)
        if _must_audit(state, evaluation, digests):
            outcome = decide_audit(state.promotion, evaluation, evidence_digests=digests)
            emit = Emit(promotion_stream(promotion_id), outcome, state.version)
            large = isinstance(outcome[0], PolicyEvaluated) and outcome[0].facts_digest
            audits.append(_Audit(emit, document(evaluation.facts) if large else None))
    return audits


def _must_audit(state: PromotionStream, evaluation: Evaluation, digests: Sequence[str]) -> bool:
    """At first; and again in review, when what the reviewers look at is no longer what was audited."""
    promotion = state.promotion
    if promotion is None or promotion.stage is Stage.REQUESTED:
        return promotion is not None
    return promotion.stage is Stage.IN_REVIEW and not is_as_audited(state, evaluation.facts, digests)


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
    state = await load(reader, PromotionStream(), promotion_stream(data.promotion))
    return [Emit(data.ref, _outcome(version, state, data, reader.now), version.version)]


def _outcome(
    version: Version,
    state: PromotionStream,
    data: PromotionRefused | PromotionRejected | PromotionApproved,
    now: datetime,
) -> list[Event]:
    match data:
        case PromotionApproved():
            if _still_approvable(version, state, now):
                return _approved(data)
            return [
                *_closed(data, "refused"),
                *_back_to_draft(version, data.promotion, "a change overtook its approval"),
            ]
        case PromotionRefused():
            return [*_closed(data, "refused"), *_back_to_draft(version, data.promotion, "the audit refused it")]
        case PromotionRejected(role=role):
            return [*_closed(data, "rejected"), *_back_to_draft(version, data.promotion, f"rejected as {role}")]


def _still_approvable(version: Version, state: PromotionStream, now: datetime) -> bool:
    """Not where it was suspended or retired, or anything about it changed, while its reviewers deliberated."""
    try:
        version.check_transition(State.APPROVED)
    except IllegalTransitionError:
        return False
    return what_changed(version, state, now) is None


def _approved(data: PromotionApproved) -> list[Event]:
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
