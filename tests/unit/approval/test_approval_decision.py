"""The signed decision record: complete, verifiable offline, and refused when anything is off."""

import base64
import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hallmark_approval.policy import GrantedException
from hypothesis import given
from hypothesis import strategies as st
from registry_core.proofs.decision import (
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    Decision,
    DecisionError,
    DecisionPolicy,
    DecisionReview,
    make_decision,
    verify_decision,
)
from registry_core.proofs.dsse import IN_TOTO, sign
from registry_core.proofs.keys import key_id
from registry_core.values import UseContext

MakeException = Callable[..., GrantedException]
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = {key_id(KEY.public_key()): KEY.public_key()}
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHA = "sha256:" + "a" * 64


@pytest.fixture(scope="module")
def decision(make_exception: MakeException):
    return Decision(
        ref="model:credit-risk@1.0.0",
        digest=SHA,
        promotion="p-1",
        context=UseContext(business_function="credit-scoring"),
        environment="production",
        policy=DecisionPolicy(name="baseline", version="1.0.0", digest="sha256:" + "b" * 64),
        evidence_digests=("sha256:" + "c" * 64,),
        reviews=(DecisionReview(role="product", reviewer="tom", person="Tom", envelope_digest="sha256:" + "d" * 64),),
        exceptions=(make_exception("no-critical-vulnerability", finding="GHSA-1"),),
        decided_at=NOW,
        expires_at=NOW + timedelta(days=90),
    )


def test_a_decision_comes_back_from_its_envelope_alone(decision: Decision):
    envelope, _ = make_decision(decision, KEY)
    assert verify_decision(json.loads(json.dumps(envelope)), KEYS) == decision


def test_a_decision_is_an_in_toto_statement_about_the_version_digest(decision: Decision):
    envelope, _ = make_decision(decision, KEY)
    statement = json.loads(base64.b64decode(envelope["payload"]))
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert statement["_type"] == STATEMENT_TYPE
    assert statement["predicateType"] == PREDICATE_TYPE
    assert statement["subject"] == [{"name": "model:credit-risk@1.0.0", "digest": {"sha256": "a" * 64}}]
    assert statement["predicate"]["outcome"] == "approved"
    assert statement["predicate"]["exceptions"][0]["finding"] == "GHSA-1"


def test_the_same_decision_always_gives_the_same_record(decision: Decision):
    assert make_decision(decision, KEY) == make_decision(decision, KEY)
    later = decision.model_copy(update={"expires_at": NOW + timedelta(days=91)})
    assert make_decision(later, KEY)[1] != make_decision(decision, KEY)[1]


def test_only_a_given_key_counts(decision: Decision):
    envelope, _ = make_decision(decision, Ed25519PrivateKey.generate())
    with pytest.raises(DecisionError, match="decision key that the registry publishes"):
        verify_decision(envelope, KEYS)


def resigned(decision: Decision, change: Callable[[Any], object]):
    statement = json.loads(base64.b64decode(make_decision(decision, KEY)[0]["payload"]))
    change(statement)
    return sign(json.dumps(statement).encode(), IN_TOTO, KEY)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.update(predicateType="https://slsa.dev/provenance/v1"),
        lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"),
        lambda s: s.update(subject=[]),
        lambda s: s["subject"].append(s["subject"][0]),
        lambda s: s["subject"][0]["digest"].update(sha256="A" * 64),
        lambda s: s["subject"][0].update(digest={"sha1": "a" * 40}),
        lambda s: s["predicate"].pop("reviews"),
        lambda s: s["predicate"].update(reviews=[]),
        lambda s: s["predicate"].update(outcome="rejected"),
        lambda s: s["predicate"].update(expires_at="2026-03-01T12:00:00"),
        lambda s: s["predicate"].update(extra=1),
        lambda s: s.pop("predicate"),
    ],
)
def test_a_signed_statement_that_is_no_decision_is_refused(decision: Decision, change: Callable[[Any], object]):
    with pytest.raises(DecisionError, match="not a decision"):
        verify_decision(resigned(decision, change), KEYS)


@pytest.mark.parametrize("payload", [b"", b"\xff", b"null", b"[" * 50_000, b'{"a":1.5}', b"{}"])
def test_signed_bytes_of_any_shape_are_refused_in_words(payload: bytes):
    with pytest.raises(DecisionError):
        verify_decision(sign(payload, IN_TOTO, KEY), KEYS)


@given(position=st.integers(0, 5000), bit=st.integers(0, 5))
def test_no_changed_payload_verifies(decision: Decision, position: int, bit: int):
    envelope = copy.deepcopy(make_decision(decision, KEY)[0])
    raw = bytearray(base64.b64decode(envelope["payload"]))
    raw[position % len(raw)] ^= 1 << bit
    envelope["payload"] = base64.b64encode(raw).decode()
    with pytest.raises(DecisionError):
        verify_decision(envelope, KEYS)
