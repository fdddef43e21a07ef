"""What follows from an audit or a review: pure decisions over a promotion's state."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from registry_core.events import Event
from registry_core.events.promotions import (
    PolicyEvaluated,
    PromotionApproved,
    PromotionRefused,
    PromotionRejected,
    ReviewOpened,
    ReviewRecorded,
    ReviewRefused,
    RuleResult,
)
from registry_core.proofs.decision import Decision, DecisionPolicy, DecisionReview, make_decision

from hallmark_approval.policy import Evaluation, blocks
from hallmark_approval.promotion import Promotion, evolve, require_allowed, require_same
from hallmark_approval.recorded import recorded_facts, recorded_results
from hallmark_approval.review import (
    Identity,
    Parties,
    ReviewSignatureError,
    check_review_envelope,
    may_review,
    refusal,
    review_statement,
)


def decide_audit(promotion: Promotion, evaluation: Evaluation, *, evidence_digests: Iterable[str]) -> list[Event]:
    """The audit's outcome: refused with what blocks, or open for review. Warnings and observations never refuse.

    Also in review, after remediation; whoever was asked to review before is asked again, whatever changed since.
    Raises `IllegalTransition`, and ValueError if the facts are of other content.
    """
    require_allowed(promotion, PolicyEvaluated)
    version = evaluation.facts.version
    if (version.ref, version.digest) != (promotion.ref, promotion.digest):
        raise ValueError(f"the facts are of {version.ref} {version.digest}, not of the promotion's {promotion.ref}")
    audited = PolicyEvaluated(
        promotion=promotion.id,
        ref=promotion.ref,
        policy=evaluation.policy,
        policy_digest=evaluation.policy_digest,
        passed=evaluation.passed,
        results=recorded_results(evaluation.results),
        evidence_digests=tuple(sorted(set(evidence_digests))),
        **recorded_facts(evaluation.facts),
    )
    return [audited, _after_audit(promotion, evaluation, audited.results)]


def _after_audit(promotion: Promotion, evaluation: Evaluation, results: Iterable[RuleResult]) -> Event:
    if not evaluation.passed:
        reasons = tuple(filter(blocks, results))
        return PromotionRefused(promotion=promotion.id, ref=promotion.ref, reasons=reasons)
    return ReviewOpened(
        promotion=promotion.id,
        ref=promotion.ref,
        roles=tuple(dict.fromkeys((*promotion.roles, *evaluation.review_roles))),
        context=promotion.context,
        expedite=promotion.expedite,
    )


def decide_review(
    promotion: Promotion,
    review: ReviewRecorded,
    *,
    reviewer: Identity,
    review_keys: Mapping[str, Ed25519PublicKey],
    parties: Parties,
    valid_for: timedelta,
    at: datetime,
    signing_key: Ed25519PrivateKey,
) -> list[Event]:
    """What follows from a review that was handed in: refused, recorded, or recorded and the promotion decided.

    `review_keys`: the reviewer's own, by key id. `valid_for`: `Evaluation.expires_after` of the audit's policy.
    An approval lasts no longer than the exceptions it rests on. Raises `IllegalTransition` outside review.
    """
    require_allowed(promotion, ReviewRecorded)
    require_same(promotion, review)
    reason = _four_eyes(promotion, review, reviewer, parties) or _flaw(promotion, review, review_keys, at)
    if reason:
        return [_review_refused(review, reason)]
    after = evolve(promotion, review)
    if review.outcome == "reject":
        return [review, _rejection(review)]
    if after.unanimous():
        return [review, _approval(after, at=at, valid_for=valid_for, signing_key=signing_key)]
    return [review]


def _four_eyes(promotion: Promotion, review: ReviewRecorded, reviewer: Identity, parties: Parties) -> RuleResult | None:
    if (review.reviewer, review.person) != (reviewer.account, reviewer.person):
        told = f"it says {review.reviewer} ({review.person}), the account is {reviewer.account} ({reviewer.person})"
        return _flawed("four-eyes", review, told, "hand in a review of your own")
    return may_review(
        role=review.role,
        asked_roles=promotion.roles,
        reviewer=reviewer,
        parties=parties,
        earlier_reviews=promotion.reviews,
    )


def _flaw(
    promotion: Promotion, review: ReviewRecorded, keys: Mapping[str, Ed25519PublicKey], at: datetime
) -> RuleResult | None:
    """What is wrong with the review itself, whoever gives it."""
    if review.outcome != "approve" and not review.comment.strip():
        fix = "say in the comment what is wrong or what to mend"
        return _flawed("review-reasoned", review, f"{review.outcome} without a reason", fix)
    if review.outcome == "approve" and (over := [e for e in promotion.exceptions if e.expires_at <= at]):
        told = f"exception {over[0].exception} expired at {over[0].expires_at.isoformat()}"
        return _flawed("audit-current", review, told, "have the promotion audited again")
    try:
        check_review_envelope(review.envelope, statement_of(promotion, review), keys)
    except ReviewSignatureError as error:
        return _flawed("review-signed", review, str(error), "sign the review statement of this promotion as it stands")
    return None


def statement_of(promotion: Promotion, review: ReviewRecorded) -> bytes:
    """The bytes that the reviewer must have signed for this review of this promotion."""
    return review_statement(
        promotion=promotion.id,
        ref=promotion.ref,
        digest=promotion.digest,
        policy_digest=promotion.policy_digest,
        evidence_digests=promotion.evidence_digests,
        context=promotion.context,
        role=review.role,
        outcome=review.outcome,
        comment=review.comment,
    )


def _flawed(rule: str, review: ReviewRecorded, detail: str, fix: str) -> RuleResult:
    return refusal(rule, role=review.role, account=review.reviewer, person=review.person, detail=detail, fix=fix)


def _review_refused(review: ReviewRecorded, reason: RuleResult) -> ReviewRefused:
    return ReviewRefused(
        promotion=review.promotion, ref=review.ref, role=review.role, reviewer=review.reviewer, reason=reason
    )


def _rejection(review: ReviewRecorded) -> PromotionRejected:
    return PromotionRejected(
        promotion=review.promotion, ref=review.ref, role=review.role, reviewer=review.reviewer, comment=review.comment
    )


def _approval(
    promotion: Promotion, *, at: datetime, valid_for: timedelta, signing_key: Ed25519PrivateKey
) -> PromotionApproved:
    decision = _decision(promotion, at, min([at + valid_for, *(e.expires_at for e in promotion.exceptions)]))
    envelope, digest = make_decision(decision, signing_key)
    return PromotionApproved(
        promotion=promotion.id,
        ref=promotion.ref,
        digest=promotion.digest,
        context=promotion.context,
        environment=promotion.environment,
        policy_digest=promotion.policy_digest,
        expires_at=decision.expires_at,
        decision_digest=digest,
        envelope=envelope,
    )


def _decision(promotion: Promotion, at: datetime, expires_at: datetime) -> Decision:
    name, _, version = promotion.policy.partition("@")
    reviews = promotion.counting()
    return Decision(
        ref=promotion.ref,
        digest=promotion.digest,
        promotion=promotion.id,
        context=promotion.context,
        environment=promotion.environment,
        policy=DecisionPolicy(name=name, version=version, digest=promotion.policy_digest),
        evidence_digests=promotion.evidence_digests,
        reviews=tuple(
            DecisionReview(role=role, reviewer=r.reviewer, person=r.person, envelope_digest=r.envelope_digest)
            for role, r in ((role, reviews[role]) for role in promotion.roles)
        ),
        exceptions=promotion.exceptions,
        decided_at=at,
        expires_at=expires_at,
    )
