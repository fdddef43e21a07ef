"""What an evidence pack says of reviews, decisions and approvals holds only if registered keys signed just that."""

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from registry_core.events import Event, RecordedEvent
from registry_core.events.promotions import ReviewOpened
from registry_core.proofs.dsse import envelope_digest
from registry_core.proofs.pack import verify_pack
from registry_core.proofs.pack.report import Report
from registry_core.proofs.pack.signatures import DECIDER
from registry_core.values import UseContext
from unit.proofs.conftest import bearing
from unit.proofs.signed import CONTEXT, REF, approval, granted, registered, reviewed, told

DECIDING, SARAS, PATS, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([n] * 32)) for n in (1, 2, 3, 4))
DECIDING_KEY, SARAS_KEY = registered(DECIDER, DECIDING, "decision"), registered("sara", SARAS, "review")
KEYS = [DECIDING_KEY, SARAS_KEY]
REVIEW = reviewed(SARAS)
APPROVAL = approval(DECIDING, REVIEW)
GOOD = [*KEYS, REVIEW, APPROVAL, granted(APPROVAL)]
OTHER_DIGEST, OTHER_USE = "sha256:" + "7" * 64, UseContext(business_function="weapons", data_class="secret")
LATER = datetime(2099, 1, 1, tzinfo=UTC)
ROLES = ("platform", "security")
ASKED = ReviewOpened(promotion="p1", ref=REF, roles=("product", "security"), context=CONTEXT)
AS_IF_NOBODYS = {
    "role": "product",
    "reviewer": "nobody",
    "person": "nobody",
    "envelope_digest": envelope_digest(REVIEW.envelope),
}


def verified(
    make_log: Callable[..., Any],
    said: Sequence[Event],
    change: Callable[[list[RecordedEvent]], list[RecordedEvent]] = list,
    decision: Any = APPROVAL.envelope,
    leave_out: Sequence[int] = (),
) -> Report:
    """What is found in a pack of these events, which the log itself signed, and of this decision."""
    log = make_log(len(said))
    forged = replace(log, events=tuple(change(bearing(said))), decision=decision, approver=DECIDING)
    chosen = [index for index in range(len(said)) if index not in leave_out]
    return verify_pack(io.BytesIO(forged.evidence(*chosen, whole=False)), trusted=[log.signer.vkey])


def problems(make_log: Callable[..., Any], said: Sequence[Event], **how: Any) -> list[str]:
    return [problem.message for problem in verified(make_log, said, **how).problems]


def resting_on(*reviews: Any, **changes: object) -> list[Event]:
    """Reviews, and an approval that rests on them."""
    return [*KEYS, *reviews, approval(DECIDING, *reviews, **changes)]


def test_what_registered_keys_signed_holds_and_the_keys_of_decisions_are_told(make_log: Callable[..., Any]):
    report = verified(make_log, GOOD)
    assert report.problems == ()
    assert any(DECIDING_KEY.key_id in remark for remark in report.remarks)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ([*KEYS, reviewed(OTHER)], "0 of the 1 given keys signed"),
        ([DECIDING_KEY, REVIEW, SARAS_KEY], "sara registered no review key in the pack's events before it"),
        ([*KEYS, reviewed(SARAS, outcome="reject")], "sara signed another outcome"),
        ([*KEYS, reviewed(SARAS, ref="model:credit-risk@2.0.0")], "sara signed another ref"),
        ([DECIDING_KEY, registered("sara", SARAS, "provenance"), REVIEW], "registered no review key"),
        ([DECIDING_KEY, told(SARAS_KEY, key_id="ab"), REVIEW], "the key's id is"),
        ([SARAS_KEY, registered("sara", OTHER, "decision")], "sara registers a decision key for sara"),
        ([*KEYS, REVIEW, approval(OTHER, REVIEW)], "0 of the 1 given keys signed"),
        ([SARAS_KEY, REVIEW, APPROVAL], f"{DECIDER} registered no decision key"),
        ([*KEYS, REVIEW, approval(DECIDING, REVIEW, reviews=5)], "not a decision of type"),
        ([*KEYS, REVIEW, approval(DECIDING, REVIEW, outcome="rejected")], "not a decision of type"),
        (resting_on(), "not a decision of type"),
    ],
)
def test_what_no_registered_key_signed_is_a_problem(make_log: Callable[..., Any], said: list[Event], problem: str):
    found = problems(make_log, said)
    assert any(problem in message for message in found), found


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ([*KEYS, REVIEW, told(APPROVAL, context=OTHER_USE)], "another context than was signed as decided"),
        ([*KEYS, REVIEW, told(APPROVAL, expires_at=LATER)], "another expires_at"),
        ([*KEYS, REVIEW, told(APPROVAL, environment="staging")], "another environment"),
        ([*KEYS, REVIEW, told(APPROVAL, policy_digest=OTHER_DIGEST)], "another policy"),
        ([*KEYS, REVIEW, told(APPROVAL, digest=OTHER_DIGEST)], "another digest"),
        ([*KEYS, REVIEW, told(APPROVAL, decision_digest=OTHER_DIGEST)], "its decision has the digest"),
        ([*KEYS, REVIEW, APPROVAL, APPROVAL], "its decision is recorded a second time"),
        ([*KEYS, REVIEW, granted(APPROVAL)], "which nothing bears out"),
        ([*KEYS, REVIEW, APPROVAL, told(granted(APPROVAL), context=OTHER_USE)], "approved for another context"),
        ([*KEYS, REVIEW, APPROVAL, told(granted(APPROVAL), expires_at=LATER)], "approved for another expires_at"),
        ([*GOOD, granted(APPROVAL)], "a second time by one decision"),
    ],
)
def test_an_event_that_says_more_than_was_decided_is_a_problem(
    make_log: Callable[..., Any], said: list[Event], problem: str
):
    found = problems(make_log, said)
    assert any(problem in message for message in found), found


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ([*KEYS, REVIEW, approval(DECIDING, REVIEW, reviewed(OTHER))], "it rests on the review sha256:"),
        (resting_on(told(reviewed(SARAS, outcome="reject"), outcome="reject")), "does not approve this"),
        (resting_on(told(reviewed(SARAS, promotion="p9"), promotion="p9")), "does not approve this"),
        (resting_on(reviewed(SARAS, digest=OTHER_DIGEST)), "signed for another content"),
        (resting_on(reviewed(SARAS, policy_digest=OTHER_DIGEST)), "signed for another content, policy"),
        (resting_on(reviewed(SARAS, evidence_digests=[])), "signed for another content, policy or evidence"),
        (resting_on(reviewed(SARAS, context=OTHER_USE.model_dump())), "signed for another use"),
        (resting_on(*(told(reviewed(SARAS, role=r), role=r) for r in ROLES)), "two reviews by one person"),
        (
            [*KEYS, REVIEW, approval(DECIDING, REVIEW, reviews=[AS_IF_NOBODYS])],
            "the review of nobody as product is another",
        ),
        (
            [*KEYS, ASKED, REVIEW, APPROVAL],
            "a review as product was asked for",
        ),
    ],
)  # fmt: skip
def test_a_decision_without_its_grounds_is_a_problem(make_log: Callable[..., Any], said: list[Event], problem: str):
    found = problems(make_log, said)
    assert any(problem in message for message in found), found


def test_a_decision_that_no_event_records_is_a_problem(make_log: Callable[..., Any]):
    other = approval(DECIDING, REVIEW, environment="staging")
    found = problems(make_log, GOOD, decision=other.envelope)
    assert found == ["no approval before it in the pack, signed by a registered key, is this decision"]


def test_a_key_in_another_account_s_stream_is_no_key_of_its_owner(make_log: Callable[..., Any]):
    def moved(events: list[RecordedEvent]) -> list[RecordedEvent]:
        return [replace(events[0], stream="account:mallory"), *events[1:]]

    assert any(
        "registered in the stream account:mallory" in message for message in problems(make_log, GOOD, change=moved)
    )


def test_a_decision_key_that_somebody_else_registered_is_a_problem(make_log: Callable[..., Any]):
    def by_mallory(events: list[RecordedEvent]) -> list[RecordedEvent]:
        return [replace(events[0], actor="mallory"), *events[1:]]

    assert any("mallory registers a decision key" in message for message in problems(make_log, GOOD, change=by_mallory))


def test_a_body_that_vanished_is_a_problem(make_log: Callable[..., Any]):
    def gone(events: list[RecordedEvent]) -> list[RecordedEvent]:
        return [*events[:2], replace(events[2], body=None), *events[3:]]

    assert any("its body is gone" in message for message in problems(make_log, GOOD, change=gone))


def test_an_event_left_out_of_its_stream_is_a_problem(make_log: Callable[..., Any]):
    found = problems(make_log, [*KEYS, REVIEW, REVIEW, APPROVAL], leave_out=[2])
    assert "1 events of promotion:p1 are missing before it, from version 0" in found
