"""What an evidence pack says of reviews and decisions holds only if the keys that the log registered signed it."""

import io
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from registry_core.events import Event
from registry_core.proofs.pack import verify_pack
from registry_core.proofs.pack.signatures import DECIDER
from unit.proofs.signed import REF, approval, registered, reviewed

DECIDING, SARAS, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([n] * 32)) for n in (1, 2, 3))
DECIDING_KEY, SARAS_KEY = registered(DECIDER, DECIDING, "decision"), registered("sara", SARAS, "review")
REVIEW = reviewed(SARAS)
KEYS = [DECIDING_KEY, SARAS_KEY]
UNKNOWN_REVIEW = reviewed(OTHER, comment="never recorded")


def problems(make_log: Callable[..., Any], decision: dict[str, object], said: list[Event]) -> list[str]:
    """What `hallmark audit verify` says of a pack, signed by the log, with these events and this decision."""
    log = make_log(len(said))
    bodies = [event.model_dump_json().encode() for event in said]
    events = [
        replace(recorded, type=event.type, body=body, body_sha256=sha256(body).digest(), _decoded=[])
        for recorded, event, body in zip(log.events, said, bodies, strict=True)
    ]
    forged = replace(log, events=tuple(events), decision=decision, approver=DECIDING)
    report = verify_pack(io.BytesIO(forged.evidence(*range(len(said)))), trusted=[log.signer.vkey])
    return [problem.message for problem in report.problems]


def test_reviews_and_a_decision_signed_by_registered_keys_hold(make_log: Callable[..., Any]):
    approving = approval(DECIDING, REVIEW)
    assert problems(make_log, approving.envelope, [*KEYS, REVIEW, approving]) == []


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ([DECIDING_KEY, SARAS_KEY, reviewed(OTHER)], "0 of the 1 given keys signed"),
        ([DECIDING_KEY, REVIEW, SARAS_KEY], "sara registered no review key in the pack's events before it"),
        ([*KEYS, reviewed(SARAS, outcome="reject")], "sara signed another outcome"),
        ([*KEYS, reviewed(SARAS, ref="model:credit-risk@2.0.0")], "sara signed another ref"),
        ([DECIDING_KEY, registered("sara", SARAS, "provenance"), REVIEW], "registered no review key"),
        ([DECIDING_KEY, SARAS_KEY.model_copy(update={"key_id": "ab"}), REVIEW], "the key's id is"),
        ([*KEYS, REVIEW, approval(OTHER, REVIEW)], "0 of the 1 given keys signed"),
        ([SARAS_KEY, SARAS_KEY, REVIEW, approval(DECIDING, REVIEW)], f"{DECIDER} registered no decision key"),
        ([*KEYS, REVIEW, approval(DECIDING, REVIEW, UNKNOWN_REVIEW)], "it rests on the review sha256:"),
        ([*KEYS, REVIEW, approval(DECIDING, REVIEW, promotion="p2")], f"another version or promotion than {REF}"),
        ([*KEYS, REVIEW, approval(DECIDING, REVIEW, reviews=5)], "'reviews' is not of type list"),
        ([*KEYS, REVIEW, approval(DECIDING, REVIEW, reviews=[5])], "not a JSON object"),
    ],
)
def test_what_no_registered_key_signed_is_a_problem(make_log: Callable[..., Any], said: list[Event], problem: str):
    padded = [*said, *[DECIDING_KEY] * (4 - len(said))]
    found = problems(make_log, approval(DECIDING, REVIEW).envelope, padded)
    assert any(problem in message for message in found), found


def test_a_decision_that_no_event_records_is_a_problem(make_log: Callable[..., Any]):
    other = approval(DECIDING, REVIEW, environment="staging")
    found = problems(make_log, other.envelope, [*KEYS, REVIEW, approval(DECIDING, REVIEW)])
    assert found == ["no approval before it in the pack, signed by a registered key, is this decision"]
