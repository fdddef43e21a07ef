"""The promotion process: given events, when something is decided, then these events and no others."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hallmark_approval.decide import decide_audit, decide_review, statement_of
from hallmark_approval.policy import Facts, GrantedException, Pack, evaluate
from hallmark_approval.policy.facts import SbomFacts, VulnerabilityFacts
from hallmark_approval.promotion import IllegalTransition, Promotion, Stage, evolve, fold
from hallmark_approval.review import Identity, Parties
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_core.events import Event
from registry_core.events.promotions import (
    PolicyEvaluated,
    PromotionApproved,
    PromotionOpened,
    PromotionRefused,
    PromotionRejected,
    PromotionRequested,
    ReviewOpened,
    ReviewRecorded,
    ReviewRefused,
    RuleResult,
)
from registry_core.proofs.decision import verify_decision
from registry_core.proofs.dsse import REVIEW, sign
from registry_core.proofs.keys import key_id
from registry_core.values import RiskTier, UseContext

MakeFacts = Callable[..., Facts]
MakeException = Callable[..., GrantedException]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
REF = "model:credit-risk@1.0.0"
SHA = "sha256:" + "a" * 64
EVIDENCE = ("sha256:" + "c" * 64, "sha256:" + "b" * 64)
ROLES = ("platform", "product", "security")
SIGNING = Ed25519PrivateKey.from_private_bytes(bytes(32))
SIGNING_KEYS = {key_id(SIGNING.public_key()): SIGNING.public_key()}
REVIEW_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
REVIEW_KEYS = {key_id(REVIEW_KEY.public_key()): REVIEW_KEY.public_key()}
PARTIES = Parties(registered_by=["Rita"], requested_by=["Rita"], evidence_by={"Eve"}, exception_by={"Xena"})
REQUESTED = PromotionRequested(
    promotion="p-1",
    ref=REF,
    digest=SHA,
    context=UseContext(business_function="credit-scoring"),
    environment="production",
    requested_by="rita",
    expedite=True,
)


@pytest.fixture(scope="session")
def audit(baseline: Pack, make_facts: MakeFacts):
    """`audit(exceptions=(), **facts)`: what the audit of a new promotion decides."""

    def run(exceptions: Iterable[GrantedException] = (), **changed: Any) -> list[Event]:
        evaluation = evaluate(baseline, make_facts(**changed), exceptions=exceptions)
        return decide_audit(fold([REQUESTED]), evaluation, evidence_digests=EVIDENCE)

    return run


@pytest.fixture(scope="session")
def in_review(audit: Callable[..., list[Event]]):
    return [REQUESTED, *audit()]


def review_of(
    promotion: Promotion, role: str, person: str, outcome: Any = "approve", comment: str = "fine", **changed: Any
):
    fields = {
        "promotion": promotion.id,
        "ref": promotion.ref,
        "role": role,
        "reviewer": person.lower(),
        "person": person,
        "outcome": outcome,
        "comment": comment,
        "envelope": {},
    }
    review = ReviewRecorded(**{**fields, **changed})
    envelope = sign(statement_of(promotion, review), REVIEW, REVIEW_KEY)
    return review.model_copy(update={"envelope": changed.get("envelope", envelope)})


def hand_in(
    events: Iterable[Event],
    role: str,
    person: str,
    outcome: Any = "approve",
    *,
    at: datetime = NOW,
    roles: Any = None,
    review: ReviewRecorded | None = None,
    **changed: Any,
):
    """The stream with what follows from a review."""
    promotion = fold(events)
    held = frozenset(f"reviewer:{r}" for r in (roles or ROLES))
    decided = decide_review(
        promotion,
        review or review_of(promotion, role, person, outcome, **changed),
        reviewer=Identity(account=person.lower(), person=person, roles=held),
        review_keys=REVIEW_KEYS,
        parties=PARTIES,
        valid_for=timedelta(days=90),
        at=at,
        signing_key=SIGNING,
    )
    return [*events, *decided]


def names(events: Iterable[Event]):
    return [type(e).__name__ for e in events]


# the audit


def test_a_passed_audit_opens_the_review_by_the_roles_of_the_tier(audit: Callable[..., list[Event]]):
    evaluated, opened = audit()
    assert isinstance(evaluated, PolicyEvaluated)
    assert evaluated.passed
    assert evaluated.policy == "baseline@1.0.0"
    assert evaluated.evidence_digests == tuple(sorted(EVIDENCE))
    assert isinstance(opened, ReviewOpened)
    assert (opened.roles, opened.expedite) == (ROLES, True)


def test_a_failed_audit_refuses_with_exactly_what_is_enforced(audit: Callable[..., list[Event]]):
    high = VulnerabilityFacts(advisory="A", component="pkg:pypi/a@1", severity="high")
    evaluated, refused = audit(sbom=SbomFacts(), vulnerabilities=(high,))
    assert isinstance(refused, PromotionRefused)
    assert [r.rule for r in refused.reasons] == ["sbom-present"]
    assert "no-high-vulnerability" in {r.rule for r in evaluated.results if r.outcome == "fail"}


def test_warnings_alone_do_not_refuse(audit: Callable[..., list[Event]]):
    high = VulnerabilityFacts(advisory="A", component="pkg:pypi/a@1", severity="high")
    assert names(audit(vulnerabilities=(high,))) == ["PolicyEvaluated", "ReviewOpened"]


def test_a_decision_can_be_replayed_from_the_recorded_facts(
    baseline: Pack, audit: Callable[..., list[Event]], make_exception: MakeException
):
    critical = VulnerabilityFacts(advisory="A", component="pkg:pypi/a@1", severity="critical")
    evaluated, _ = audit([make_exception("no-critical-vulnerability")], vulnerabilities=(critical,))
    stored = PolicyEvaluated.model_validate_json(evaluated.encode())
    facts = Facts.model_validate(stored.facts)
    assert evaluate(baseline, facts, exceptions=facts.exceptions).results == evaluated.results


def test_facts_of_other_content_decide_nothing(baseline: Pack, make_facts: MakeFacts):
    other = make_facts("code")
    with pytest.raises(ValueError, match=r"the facts are of code:credit-risk@1\.0\.0"):
        decide_audit(fold([REQUESTED]), evaluate(baseline, other), evidence_digests=())


@given(tiers=st.lists(st.sampled_from(list(RiskTier)), min_size=1, max_size=5))
def test_another_audit_never_asks_for_fewer_roles(baseline: Pack, make_facts: MakeFacts, tiers: list[RiskTier]):
    events: list[Event] = [REQUESTED]
    for tier in tiers:
        before = set(fold(events).roles)
        evaluation = evaluate(baseline, make_facts(metadata={"risk_tier": tier}))
        events += decide_audit(fold(events), evaluation, evidence_digests=EVIDENCE)
        asked = fold(events).roles
        assert set(asked) == before | set(evaluation.review_roles)
        assert len(asked) == len(set(asked))


# reviews


def test_the_last_missing_role_approves(in_review: list[Event]):
    events = hand_in(in_review, "platform", "Pat")
    events = hand_in(events, "product", "Tom")
    assert names(events)[-1] == "ReviewRecorded"
    events = hand_in(events, "security", "Sam")
    assert names(events)[-2:] == ["ReviewRecorded", "PromotionApproved"]
    assert fold(events).stage is Stage.APPROVED


def test_an_approval_carries_a_decision_that_verifies_offline(in_review: list[Event]):
    events = in_review
    for role, person in zip(ROLES, ("Pat", "Tom", "Sam"), strict=True):
        events = hand_in(events, role, person)
    approved = events[-1]
    decision = verify_decision(approved.envelope, SIGNING_KEYS)
    assert (decision.ref, decision.digest, decision.promotion) == (REF, SHA, "p-1")
    assert decision.policy.digest == approved.policy_digest
    assert (decision.policy.name, decision.policy.version) == ("baseline", "1.0.0")
    assert [(r.role, r.person) for r in decision.reviews] == [
        ("platform", "Pat"),
        ("product", "Tom"),
        ("security", "Sam"),
    ]
    assert decision.expires_at == approved.expires_at == NOW + timedelta(days=90)
    assert decision.evidence_digests == tuple(sorted(EVIDENCE))


def test_an_approval_lasts_no_longer_than_the_exceptions_it_rests_on(
    audit: Callable[..., list[Event]], make_exception: MakeException
):
    critical = VulnerabilityFacts(advisory="A", component="pkg:pypi/a@1", severity="critical")
    exception = make_exception("no-critical-vulnerability", expires_at=NOW + timedelta(days=5))
    idle = make_exception("sbom-present", expires_at=NOW + timedelta(days=1))
    events = [REQUESTED, *audit([exception, idle], vulnerabilities=(critical,))]
    for role, person in zip(ROLES, ("Pat", "Tom", "Sam"), strict=True):
        events = hand_in(events, role, person)
    assert events[-1].expires_at == NOW + timedelta(days=5)
    assert verify_decision(events[-1].envelope, SIGNING_KEYS).exceptions == (exception,)


def test_nobody_approves_on_an_exception_that_expired_meanwhile(
    audit: Callable[..., list[Event]], make_exception: MakeException
):
    critical = VulnerabilityFacts(advisory="A", component="pkg:pypi/a@1", severity="critical")
    exception = make_exception("no-critical-vulnerability", expires_at=NOW + timedelta(days=5))
    events = [REQUESTED, *audit([exception], vulnerabilities=(critical,))]
    refused = hand_in(events, "security", "Sam", at=NOW + timedelta(days=5))[-1]
    assert refused.reason.rule == "audit-current"
    rejected = hand_in(events, "security", "Sam", "reject", at=NOW + timedelta(days=5))[-1]
    assert isinstance(rejected, PromotionRejected)


def test_one_rejection_ends_it_with_its_reasons(in_review: list[Event]):
    events = hand_in(hand_in(in_review, "product", "Tom"), "security", "Sam", "reject", comment="leaks data")
    assert names(events)[-2:] == ["ReviewRecorded", "PromotionRejected"]
    assert events[-1].comment == "leaks data"
    with pytest.raises(IllegalTransition, match="come to its end"):
        hand_in(events, "platform", "Pat")


def test_a_reviewer_may_ask_for_remediation_and_approve_later(in_review: list[Event]):
    events = hand_in(in_review, "security", "Sam", "remediate", comment="pin requests")
    assert fold(events).stage is Stage.IN_REVIEW
    events = hand_in(hand_in(events, "product", "Tom"), "platform", "Pat")
    assert names(events)[-1] == "ReviewRecorded"
    assert names(hand_in(events, "security", "Sam"))[-1] == "PromotionApproved"


@pytest.mark.parametrize("outcome", ["reject", "remediate"])
def test_a_review_that_does_not_approve_must_say_why(in_review: list[Event], outcome: Any):
    refused = hand_in(in_review, "security", "Sam", outcome, comment=" ")[-1]
    assert isinstance(refused, ReviewRefused)
    assert refused.reason.rule == "review-reasoned"


@pytest.mark.parametrize("person", ["Rita", "Eve", "Xena", "rita"])
def test_a_party_is_refused_on_record_and_the_review_goes_on(in_review: list[Event], person: str):
    events = hand_in(in_review, "security", person)
    assert names(events)[-1] == "ReviewRefused"
    assert events[-1].reason.rule == "four-eyes"
    assert fold(events) == fold(in_review)


def test_one_person_cannot_fill_two_roles(in_review: list[Event]):
    events = hand_in(in_review, "product", "Tom")
    assert hand_in(events, "security", "Tom")[-1].reason.rule == "four-eyes"


def test_nobody_hands_in_the_review_of_another(in_review: list[Event]):
    review = review_of(fold(in_review), "security", "Sam")
    assert hand_in(in_review, "security", "Mallory", review=review)[-1].reason.rule == "four-eyes"


def test_a_review_signed_for_something_else_is_refused(in_review: list[Event]):
    promotion = fold(in_review)
    signed_reject = review_of(promotion, "security", "Sam", "reject", "no")
    forged = review_of(promotion, "security", "Sam", "approve", "no", envelope=signed_reject.envelope)
    assert hand_in(in_review, "security", "Sam", review=forged)[-1].reason.rule == "review-signed"


def test_another_audit_after_remediation_voids_the_reviews_before(
    baseline: Pack, make_facts: MakeFacts, in_review: list[Event]
):
    events = hand_in(hand_in(in_review, "platform", "Pat"), "product", "Tom")
    earlier = review_of(fold(events), "security", "Sam")
    again = decide_audit(fold(events), evaluate(baseline, make_facts()), evidence_digests=["sha256:" + "f" * 64])
    events = [*events, *again]
    assert fold(events).reviews == ()
    assert hand_in(events, "security", "Sam", review=earlier)[-1].reason.rule == "review-signed"
    assert names(hand_in(events, "security", "Sam"))[-1] == "ReviewRecorded"


# transitions


def test_an_illegal_transition_says_state_attempt_and_what_is_allowed():
    with pytest.raises(IllegalTransition) as caught:
        hand_in([REQUESTED], "security", "Sam")
    assert caught.value.stage is Stage.REQUESTED
    assert caught.value.tried == "ReviewRecorded"
    assert caught.value.allowed == ("PolicyEvaluated",)
    assert str(caught.value) == "the promotion is requested; tried ReviewRecorded; allowed: PolicyEvaluated"


def test_nothing_comes_before_the_request(in_review: list[Event]):
    with pytest.raises(IllegalTransition, match="not requested"):
        evolve(None, in_review[1])


def test_events_of_another_promotion_or_stream_do_not_fold(in_review: list[Event]):
    foreign = in_review[1].model_copy(update={"promotion": "p-2"})
    with pytest.raises(IllegalTransition, match="this is p-1"):
        fold([REQUESTED, foreign])
    with pytest.raises(IllegalTransition):
        fold([REQUESTED, PromotionOpened(ref=REF, promotion="p-1")])


def approval(**changed: Any):
    fields = {
        "promotion": "p-1",
        "ref": REF,
        "digest": SHA,
        "context": REQUESTED.context,
        "environment": "production",
        "policy_digest": SHA,
        "expires_at": NOW,
        "decision_digest": SHA,
        "envelope": {},
    }
    return PromotionApproved(**{**fields, **changed})


def reviewed_by(role: str, person: str, outcome: Any = "approve") -> ReviewRecorded:
    return ReviewRecorded(
        promotion="p-1", ref=REF, role=role, reviewer="x", person=person, outcome=outcome, envelope={}
    )


@pytest.fixture(scope="session")
def unanimous(in_review: list[Event]) -> list[Event]:
    return [*in_review, *(reviewed_by(role, f"person of {role}") for role in ROLES)]


def test_a_stream_in_which_one_person_fills_two_roles_does_not_fold(in_review: list[Event]):
    with pytest.raises(IllegalTransition, match="already reviewed for another role"):
        fold([*in_review, reviewed_by("product", "Tom"), reviewed_by("security", "tom ")])


@pytest.mark.parametrize("changed", [{"digest": "sha256:" + "0" * 64}, {"policy_digest": "sha256:" + "0" * 64}])
def test_no_approval_folds_for_other_content_or_another_policy(unanimous: list[Event], changed: Any):
    audited = fold(unanimous)
    right = approval(policy_digest=audited.policy_digest)
    assert fold([*unanimous, right]).stage is Stage.APPROVED
    with pytest.raises(IllegalTransition, match="other content, or under another policy"):
        fold([*unanimous, right.model_copy(update=changed)])


def test_no_approval_folds_before_every_role_approves(in_review: list[Event], unanimous: list[Event]):
    right = approval(policy_digest=fold(in_review).policy_digest)
    for short in (in_review, unanimous[:-1], [*unanimous, reviewed_by("product", "Una", "remediate")]):
        with pytest.raises(IllegalTransition, match="not every role approves"):
            fold([*short, right])


def test_an_audit_is_followed_only_by_what_it_said(audit: Callable[..., list[Event]]):
    passed, opened = audit()
    failed, refused = audit(sbom=SbomFacts())
    with pytest.raises(IllegalTransition, match="did not pass"):
        fold([REQUESTED, failed, opened])
    with pytest.raises(IllegalTransition, match="the audit passed"):
        fold([REQUESTED, passed, refused])
    with pytest.raises(IllegalTransition, match="no roles"):
        fold([REQUESTED, passed, opened.model_copy(update={"roles": ()})])


def test_no_rejection_folds_without_a_rejecting_review(unanimous: list[Event]):
    rejected = PromotionRejected(promotion="p-1", ref=REF, role="product", reviewer="x", comment="no")
    with pytest.raises(IllegalTransition, match="product did not reject"):
        fold([*unanimous, rejected])


def raw_events():
    """Events of this promotion that no decision vouches for."""
    role = st.sampled_from([*ROLES, "legal"])
    person = st.sampled_from(["Pat", "pat", "Tom", "Sam"])
    reviewed = st.builds(
        ReviewRecorded,
        promotion=st.just("p-1"),
        ref=st.just(REF),
        role=role,
        reviewer=st.just("pat"),
        person=person,
        outcome=st.sampled_from(["approve", "approve", "approve", "reject", "remediate"]),
        envelope=st.just({}),
    )
    evaluated = st.builds(
        PolicyEvaluated,
        promotion=st.just("p-1"),
        ref=st.just(REF),
        policy=st.just("baseline@1.0.0"),
        policy_digest=st.just(SHA),
        passed=st.booleans(),
        results=st.just(()),
        evidence_digests=st.just(()),
        facts=st.just({}),
    )
    reason = RuleResult(rule="r", title="t", outcome="fail", mode="enforce")
    other_digest = "sha256:" + "0" * 64
    return st.one_of(
        st.just(REQUESTED),
        evaluated,
        st.just(PromotionRefused(promotion="p-1", ref=REF, reasons=(reason,))),
        st.builds(
            ReviewOpened,
            promotion=st.just("p-1"),
            ref=st.just(REF),
            roles=st.lists(st.sampled_from(ROLES), unique=True).map(tuple),
            context=st.just(REQUESTED.context),
        ),
        reviewed,
        reviewed,
        st.just(ReviewRefused(promotion="p-1", ref=REF, role="product", reviewer="rita", reason=reason)),
        st.sampled_from([approval(), approval(), approval(digest=other_digest)]),
        st.builds(
            PromotionRejected,
            promotion=st.just("p-1"),
            ref=st.just(REF),
            role=role,
            reviewer=st.just("pat"),
            comment=st.just("no"),
        ),
    )


def fold_legal(events: Iterable[Event]):
    """The state after each event that was legal where it stood."""
    state = None
    for event in events:
        before = state
        try:
            state = evolve(state, event)
        except IllegalTransition:
            continue
        yield before, event, state


NEXT = {
    None: {Stage.REQUESTED},
    Stage.REQUESTED: {Stage.AUDITED},
    Stage.AUDITED: {Stage.REFUSED, Stage.IN_REVIEW},
    Stage.IN_REVIEW: {Stage.IN_REVIEW, Stage.AUDITED, Stage.APPROVED, Stage.REJECTED},
}


@settings(max_examples=500)
@given(st.lists(raw_events(), max_size=25).map(lambda events: [REQUESTED, *events]))
def test_whatever_events_come_the_state_moves_only_along_allowed_edges(events: Iterable[Event]):
    for before, _, after in fold_legal(events):
        assert after.stage in NEXT[before.stage if before else None]


@settings(max_examples=500)
@given(
    roles=st.lists(st.sampled_from(ROLES), min_size=1, unique=True).map(tuple),
    tail=st.lists(raw_events(), max_size=25),
)
def test_no_set_of_events_approves_without_every_role_by_another_person(roles: Any, tail: list[Event]):
    opened = [
        REQUESTED,
        PolicyEvaluated(
            promotion="p-1",
            ref=REF,
            policy="baseline@1.0.0",
            policy_digest=SHA,
            passed=True,
            results=(),
            evidence_digests=(),
            facts={},
        ),
        ReviewOpened(promotion="p-1", ref=REF, roles=roles, context=REQUESTED.context),
    ]
    for before, event, after in fold_legal([*opened, *tail]):
        if after.stage is Stage.APPROVED:
            latest = {r.role: r for r in before.reviews}
            assert set(before.roles) <= set(latest)
            assert {latest[r].outcome for r in before.roles} == {"approve"}
            assert len({latest[r].person.casefold() for r in before.roles}) == len(before.roles)
            assert event.digest == SHA


ATTEMPT = st.tuples(
    st.sampled_from([*ROLES, "legal"]),
    st.sampled_from(["Rita", "Eve", "Xena", "Pat", "Tom", "Sam", "pat", ""]),
    st.sampled_from(["approve", "approve", "approve", "approve", "remediate", "reject"]),
    st.sampled_from([ROLES, ROLES, ("product",), ("admin",)]),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(ATTEMPT, max_size=20))
def test_no_run_of_reviews_approves_without_every_role_by_uninvolved_distinct_persons(
    in_review: list[Event], attempts: list[tuple[Any, ...]]
):
    events = list(in_review)
    for role, person, outcome, held in attempts:
        if fold(events).stage is not Stage.IN_REVIEW:
            break
        events = hand_in(events, role, person, outcome, roles=held, reviewer=person.lower() or "nobody")
    approved = [e for e in events if isinstance(e, PromotionApproved)]
    recorded = [e for e in events if isinstance(e, ReviewRecorded)]
    assert not {e.person.casefold() for e in recorded} & {"rita", "eve", "xena", ""}
    if approved:
        reviews = verify_decision(approved[0].envelope, SIGNING_KEYS).reviews
        assert {r.role for r in reviews} == set(ROLES)
        assert len({r.person.casefold() for r in reviews}) == len(ROLES)
        assert fold(events).stage is Stage.APPROVED


def test_three_reviews_do_approve_so_the_property_above_is_not_empty(in_review: list[Event]):
    events = in_review
    for role, person in zip(ROLES, ("Pat", "Tom", "Sam"), strict=True):
        events = hand_in(events, role, person)
    assert isinstance(events[-1], PromotionApproved)
