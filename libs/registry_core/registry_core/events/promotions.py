"""The promotion process. Stream: `promotion:<id>`; opened and closed also mark the version's own stream."""

from datetime import datetime
from typing import Any, Literal

from registry_core.events.base import Event
from registry_core.values import Account, Digest, Ref, UseContext, Value

Role = str
"""Reviewer role, e.g. `platform`, `product`, `security`."""


class PromotionRequested(Event, type="io.hallmark.promotion.requested.v1", family="promotions"):
    promotion: str
    ref: Ref
    digest: Digest
    context: UseContext
    environment: str
    requested_by: Account
    expedite: bool = False
    reason: str | None = None


class RuleResult(Value):
    """What one rule said, and for a person: the evidence looked at, who owns the mending, the shortest fix (D4)."""

    rule: str
    title: str
    outcome: Literal["pass", "fail", "excepted", "error"]
    mode: Literal["observe", "warn", "enforce"]
    evidence: tuple[str, ...] = ()
    detail: str = ""
    owner: str = ""
    fix: str = ""


class PolicyEvaluated(Event, type="io.hallmark.promotion.policy-evaluated.v1", family="promotions"):
    promotion: str
    ref: Ref
    policy: str
    policy_digest: Digest
    passed: bool
    results: tuple[RuleResult, ...]
    evidence_digests: tuple[Digest, ...]
    facts: dict[str, Any]
    """The input the rules saw, so that the decision can be replayed; of large ones the exceptions alone."""
    facts_digest: Digest | None = None
    """Of the whole facts in the artifact store, where they are too large to stand here."""
    material_digest: Digest | None = None
    """With `facts_digest`: of the facts without what time alone changes, to tell whether they still hold."""


class PromotionRefused(Event, type="io.hallmark.promotion.refused.v1", family="promotions"):
    promotion: str
    ref: Ref
    reasons: tuple[RuleResult, ...]


class ReviewOpened(Event, type="io.hallmark.promotion.review-opened.v1", family="promotions"):
    promotion: str
    ref: Ref
    roles: tuple[Role, ...]
    context: UseContext
    expedite: bool = False


class ReviewRecorded(Event, type="io.hallmark.promotion.review-recorded.v1", family="promotions"):
    """A reviewer's signed statement (DSSE over the statement in `hallmark_approval.review.review_statement`)."""

    promotion: str
    ref: Ref
    role: Role
    reviewer: Account
    person: str
    outcome: Literal["approve", "reject", "remediate"]
    comment: str = ""
    envelope: dict[str, Any]


class ReviewRefused(Event, type="io.hallmark.promotion.review-refused.v1", family="promotions"):
    """A review that may not count, e.g. by the person who registered the version."""

    promotion: str
    ref: Ref
    role: Role
    reviewer: Account
    reason: RuleResult


class PromotionApproved(Event, type="io.hallmark.promotion.approved.v1", family="promotions"):
    """The signed decision record."""

    promotion: str
    ref: Ref
    digest: Digest
    context: UseContext
    environment: str
    policy_digest: Digest
    expires_at: datetime
    decision_digest: Digest
    envelope: dict[str, Any]


class PromotionRejected(Event, type="io.hallmark.promotion.rejected.v1", family="promotions"):
    promotion: str
    ref: Ref
    role: Role
    reviewer: Account
    comment: str


class PromotionOpened(Event, type="io.hallmark.version.promotion-opened.v1", family="promotions"):
    """On the version's stream: a promotion of it is under way."""

    ref: Ref
    promotion: str


class PromotionClosed(Event, type="io.hallmark.version.promotion-closed.v1", family="promotions"):
    """On the version's stream: that promotion came to its end."""

    ref: Ref
    promotion: str
    outcome: Literal["approved", "refused", "rejected"]
