"""The promotion process as a state folded from its events; `decide` tells which events come next.

requested → audited → refused
                   ↘ in review → approved | rejected
                      ↑___↓  another audit, after remediation, voids the reviews given before
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

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
)
from registry_core.persons import same_person
from registry_core.proofs.dsse import envelope_digest
from registry_core.values import UseContext

from hallmark_approval.policy import GrantedException
from hallmark_approval.review import Outcome


class Stage(StrEnum):
    REQUESTED = "requested"
    AUDITED = "audited"
    IN_REVIEW = "in review"
    REFUSED = "refused"
    APPROVED = "approved"
    REJECTED = "rejected"


ALLOWED: dict[Stage | None, tuple[type[Event], ...]] = {
    None: (PromotionRequested,),
    Stage.REQUESTED: (PolicyEvaluated,),
    Stage.AUDITED: (PromotionRefused, ReviewOpened),
    Stage.IN_REVIEW: (ReviewRecorded, ReviewRefused, PolicyEvaluated, PromotionApproved, PromotionRejected),
    Stage.REFUSED: (),
    Stage.APPROVED: (),
    Stage.REJECTED: (),
}
"""Which events may follow in which stage; None is before the request."""


class IllegalTransition(ValueError):  # noqa: N818 - named for what was tried
    """An event or command that the promotion's stage does not allow."""

    def __init__(self, stage: Stage | None, tried: str, why: str = "") -> None:
        self.stage, self.tried = stage, tried
        self.allowed = tuple(t.__name__ for t in ALLOWED[stage])
        state = stage.value if stage else "not requested"
        allowed = ", ".join(self.allowed) or "nothing: it has come to its end, request a new promotion"
        super().__init__(f"the promotion is {state}; tried {tried}{f' ({why})' if why else ''}; allowed: {allowed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A review that counts."""

    role: str
    reviewer: str
    person: str
    outcome: Outcome
    envelope_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """One promotion, as its events tell."""

    id: str
    ref: str
    digest: str
    context: UseContext
    environment: str
    requested_by: str
    expedite: bool
    stage: Stage
    policy: str = ""
    """`name@version`."""
    policy_digest: str = ""
    passed: bool = False
    evidence_digests: tuple[str, ...] = ()
    exceptions: tuple[GrantedException, ...] = ()
    """Those that the audit relied upon."""
    roles: tuple[str, ...] = ()
    """Asked to review; another audit never asks fewer."""
    reviews: tuple[Review, ...] = ()
    """Since the last audit, in order."""
    expires_at: datetime | None = None
    decision_digest: str | None = None

    def counting(self) -> dict[str, Review]:
        """The latest review of each role asked for."""
        return {r.role: r for r in self.reviews if r.role in self.roles}

    def unanimous(self) -> bool:
        """Every role asked for approves; `evolve` lets no person review for two roles."""
        latest = self.counting()
        return bool(self.roles) and all(r in latest and latest[r].outcome == "approve" for r in self.roles)


def evolve(state: Promotion | None, event: Event) -> Promotion:
    """The state after an event. Raises `IllegalTransition`."""
    require_allowed(state, type(event))
    if isinstance(event, PromotionRequested):
        return _requested(event)
    assert state is not None
    require_same(state, event)
    return _EVOLVE[type(event)](state, event)


def fold(events: Iterable[Event]) -> Promotion | None:
    """The state after a whole stream; None if it is empty. Raises `IllegalTransition`."""
    state: Promotion | None = None
    for event in events:
        state = evolve(state, event)
    return state


def require_allowed(state: Promotion | None, event_type: type[Event]) -> None:
    """Raises `IllegalTransition` if such an event may not come next."""
    stage = state.stage if state else None
    if event_type not in ALLOWED[stage]:
        raise IllegalTransition(stage, event_type.__name__)


def require_same(state: Promotion, event: Any) -> None:
    """Raises `IllegalTransition` if the event belongs to another promotion or version."""
    if (event.promotion, event.ref) != (state.id, state.ref):
        tried = f"{type(event).__name__} of {event.promotion} for {event.ref}"
        raise IllegalTransition(state.stage, tried, f"this is {state.id} for {state.ref}")


def _ensure(state: Promotion, event: Event, holds: bool, why: str) -> None:
    if not holds:
        raise IllegalTransition(state.stage, type(event).__name__, why)


def _requested(event: PromotionRequested) -> Promotion:
    return Promotion(
        id=event.promotion,
        ref=event.ref,
        digest=event.digest,
        context=event.context,
        environment=event.environment,
        requested_by=event.requested_by,
        expedite=event.expedite,
        stage=Stage.REQUESTED,
    )


def _audited(state: Promotion, event: PolicyEvaluated) -> Promotion:
    return replace(
        state,
        stage=Stage.AUDITED,
        policy=event.policy,
        policy_digest=event.policy_digest,
        passed=event.passed,
        evidence_digests=event.evidence_digests,
        exceptions=_relied_upon(event),
        reviews=(),
    )


def _relied_upon(event: PolicyEvaluated) -> tuple[GrantedException, ...]:
    excepted = {r.rule for r in event.results if r.outcome == "excepted"}
    granted = (GrantedException.model_validate(e) for e in event.facts.get("exceptions", ()))
    return tuple(e for e in granted if e.rule in excepted)


def _refused(state: Promotion, event: PromotionRefused) -> Promotion:
    _ensure(state, event, not state.passed, "the audit passed")
    return replace(state, stage=Stage.REFUSED)


def _review_opened(state: Promotion, event: ReviewOpened) -> Promotion:
    _ensure(state, event, state.passed, "the audit did not pass")
    _ensure(state, event, bool(event.roles), "no roles to review")
    return replace(state, stage=Stage.IN_REVIEW, roles=event.roles)


def _reviewed(state: Promotion, event: ReviewRecorded) -> Promotion:
    _ensure(state, event, event.role in state.roles, f"no review as {event.role} was asked for")
    taken = any(same_person(r.person, event.person) and r.role != event.role for r in state.reviews)
    _ensure(state, event, not taken, f"{event.person} already reviewed for another role")
    review = Review(
        role=event.role,
        reviewer=event.reviewer,
        person=event.person,
        outcome=event.outcome,
        envelope_digest=envelope_digest(event.envelope),
    )
    return replace(state, reviews=(*state.reviews, review))


def _approved(state: Promotion, event: PromotionApproved) -> Promotion:
    _ensure(state, event, state.unanimous(), "not every role approves")
    same = (event.digest, event.policy_digest) == (state.digest, state.policy_digest)
    _ensure(state, event, same, "it approves other content, or under another policy, than was audited")
    return replace(state, stage=Stage.APPROVED, expires_at=event.expires_at, decision_digest=event.decision_digest)


def _rejected(state: Promotion, event: PromotionRejected) -> Promotion:
    last = state.counting().get(event.role)
    _ensure(state, event, last is not None and last.outcome == "reject", f"{event.role} did not reject")
    return replace(state, stage=Stage.REJECTED)


_EVOLVE: Mapping[type[Event], Callable[[Promotion, Any], Promotion]] = {
    PolicyEvaluated: _audited,
    PromotionRefused: _refused,
    ReviewOpened: _review_opened,
    ReviewRecorded: _reviewed,
    ReviewRefused: lambda state, _event: state,
    PromotionApproved: _approved,
    PromotionRejected: _rejected,
}
