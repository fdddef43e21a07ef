"""Given events of a promotion, when they are folded, then its row in the review queue says …"""

from hallmark_console.projections.review_queue import REVIEW_QUEUE, waiting_for
from hypothesis import given
from hypothesis import strategies as st
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
from registry_core.projections import Row
from support import NOW
from support_portfolio import CREDIT, REASONS, WARNING, digest, projected

REF = "model:credit-risk@1.0.0"
REQUESTED = PromotionRequested(
    promotion="p-1", ref=REF, digest=digest(REF), context=CREDIT, environment="production", requested_by="maria",
    expedite=True, reason="quarter's close",
)  # fmt: skip
OPENED = ReviewOpened(promotion="p-1", ref=REF, roles=("platform", "security"), context=CREDIT)


def reviewed(role: str, outcome: str = "approve", comment: str = "") -> ReviewRecorded:
    return ReviewRecorded(
        promotion="p-1", ref=REF, role=role, reviewer="wei", person="wei", outcome=outcome, comment=comment, envelope={}
    )


async def row_after(*events: Event) -> Row:
    rows = await projected(REVIEW_QUEUE, *(("promotion:p-1", event) for event in (REQUESTED, *events)))
    return rows["p-1"]


async def test_a_requested_promotion_is_audited_first() -> None:
    row = await row_after()
    assert (row["status"], row["ref"], row["context"]) == ("auditing", REF, "credit-decisions/confidential/eu")
    assert (row["requested_by"], row["expedite"], row["request_reason"]) == ("maria", True, "quarter's close")


async def test_a_refusal_names_its_reasons_and_their_fix() -> None:
    row = await row_after(PromotionRefused(promotion="p-1", ref=REF, reasons=REASONS))
    assert row["status"] == "refused"
    assert [reason["rule"] for reason in row["reasons"]] == ["evaluations-pass", "metadata-complete"]
    assert all(reason["fix"] and reason["owner"] for reason in row["reasons"])
    assert row["closed_at"]


async def test_an_opened_review_waits_for_every_role() -> None:
    row = await row_after(OPENED)
    assert (row["status"], row["waiting_for"]) == ("in review", ["platform", "security"])


async def test_an_approval_takes_its_role_off_the_waiting_list_and_a_later_remediation_puts_it_back() -> None:
    one = await row_after(OPENED, reviewed("platform", comment="fine"))
    assert (one["waiting_for"], one["reviews"][0]["comment"]) == (["security"], "fine")
    back = await row_after(OPENED, reviewed("platform"), reviewed("platform", "remediate"))
    assert back["waiting_for"] == ["platform", "security"]
    assert back["status"] == "in review"


async def test_an_approved_promotion_says_until_when() -> None:
    approved = PromotionApproved(
        promotion="p-1", ref=REF, digest=digest(REF), context=CREDIT, environment="production",
        policy_digest=digest("p"), expires_at=NOW, decision_digest=digest("d"), envelope={},
    )  # fmt: skip
    row = await row_after(OPENED, reviewed("platform"), reviewed("security"), approved)
    assert (row["status"], row["waiting_for"], row["expires_at"]) == ("approved", [], NOW.isoformat())


async def test_a_rejection_carries_the_reviewers_words() -> None:
    rejected = PromotionRejected(promotion="p-1", ref=REF, role="security", reviewer="wei", comment="leaks")
    row = await row_after(OPENED, rejected)
    assert (row["status"], row["reasons"][0]["detail"]) == ("rejected", "leaks")


async def test_warnings_of_the_policy_are_kept_for_the_reviewers() -> None:
    evaluated = PolicyEvaluated(
        promotion="p-1", ref=REF, policy="baseline", policy_digest=digest("b"), passed=True,
        results=(WARNING, REASONS[0]), evidence_digests=(), facts={},
    )  # fmt: skip
    row = await row_after(evaluated)
    assert [warning["rule"] for warning in row["warnings"]] == ["high-vulnerabilities"]
    assert (row["policy"], row["policy_digest"]) == ("baseline", digest("b"))


async def test_a_review_that_does_not_count_is_shown_and_changes_nothing_else() -> None:
    row = await row_after(
        OPENED, ReviewRefused(promotion="p-1", ref=REF, role="platform", reviewer="maria", reason=REASONS[0])
    )
    assert (row["refused_reviews"][0]["reviewer"], row["waiting_for"]) == ("maria", ["platform", "security"])


async def test_a_review_of_an_unknown_promotion_makes_no_row() -> None:
    assert await projected(REVIEW_QUEUE, ("promotion:p-1", reviewed("platform"))) == {}


roles = st.sampled_from(["platform", "product", "security"])


@given(st.lists(roles, unique=True), st.lists(st.tuples(roles, st.sampled_from(["approve", "reject", "remediate"]))))
def test_nothing_is_waited_for_exactly_when_every_role_approved_last(
    required: list[str], given_reviews: list[tuple[str, str]]
) -> None:
    last = dict(given_reviews)
    waiting = waiting_for(required, [{"role": role, "outcome": outcome} for role, outcome in given_reviews])
    assert (not waiting) == all(last.get(role) == "approve" for role in required)
    assert set(waiting) <= set(required)
