"""Reviews and approvals that hold, and with changes those that do not."""

from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from registry_core.events import Event
from registry_core.events.governance import SigningKeyRegistered
from registry_core.events.promotions import PromotionApproved, ReviewRecorded
from registry_core.proofs.canonical import canonical_json
from registry_core.proofs.dsse import IN_TOTO, REVIEW, envelope_digest, sign
from registry_core.proofs.keys import key_id, public_base64
from registry_core.proofs.pack.signatures import DECIDER
from registry_core.values import UseContext

REF = "model:credit-risk@1.0.0"
DIGEST = "sha256:" + "5" * 64
CONTEXT = UseContext(business_function="lending")
UNTIL = datetime(2027, 11, 21, 10, tzinfo=UTC)


def registered(account: str, key: Ed25519PrivateKey, purpose: str) -> SigningKeyRegistered:
    public = key.public_key()
    return SigningKeyRegistered(
        account=account, key_id=key_id(public), public_key=public_base64(public), purpose=purpose
    )


def reviewed(key: Ed25519PrivateKey, **changes: object) -> ReviewRecorded:
    """An approval by sara; `changes` are to what was signed, the event says what it always says."""
    said = {"promotion": "p1", "ref": REF, "role": "security", "outcome": "approve", "comment": ""}
    envelope = sign(canonical_json({**said, "digest": DIGEST} | changes), REVIEW, key)
    return ReviewRecorded(**said, reviewer="sara", person="Sara", envelope=envelope)


def approval(key: Ed25519PrivateKey, *reviews: ReviewRecorded, **changes: object) -> PromotionApproved:
    """What approval signs over reviews; `changes` are to the signed predicate."""
    named = [{"reviewer": r.reviewer, "envelope_digest": envelope_digest(r.envelope)} for r in reviews]
    predicate = {"promotion": "p1", "reviews": named} | changes
    subject = [{"name": REF, "digest": {"sha256": DIGEST.removeprefix("sha256:")}}]
    envelope = sign(canonical_json({"subject": subject, "predicate": predicate}), IN_TOTO, key)
    return PromotionApproved(
        promotion="p1", ref=REF, digest=DIGEST, context=CONTEXT, environment="production", policy_digest=DIGEST,
        expires_at=UNTIL, decision_digest=envelope_digest(envelope), envelope=envelope,
    )  # fmt: skip


def approved(approver: Ed25519PrivateKey, reviewer: Ed25519PrivateKey) -> tuple[list[Event], dict[str, object]]:
    """Two keys, a review, an approval; and the decision."""
    review = reviewed(reviewer)
    approving = approval(approver, review)
    keys = [registered("sara", reviewer, "review"), registered(DECIDER, approver, "decision")]
    return [*keys, review, approving], approving.envelope
