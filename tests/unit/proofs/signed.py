"""Reviews and approvals that hold, and with changes those that do not."""

from collections import Counter
from datetime import UTC, datetime
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from registry_core.events import Event
from registry_core.events.governance import SigningKeyRegistered
from registry_core.events.lifecycle import VersionApproved
from registry_core.events.promotions import PromotionApproved, ReviewRecorded
from registry_core.identity import account_stream
from registry_core.proofs.canonical import canonical_json
from registry_core.proofs.decision import PREDICATE_TYPE, STATEMENT_TYPE
from registry_core.proofs.dsse import IN_TOTO, REVIEW, envelope_digest, sign
from registry_core.proofs.keys import key_id, public_base64
from registry_core.proofs.pack.signatures import DECIDER
from registry_core.values import UseContext

REF = "model:credit-risk@1.0.0"
DIGEST, POLICY = "sha256:" + "5" * 64, "sha256:" + "6" * 64
CONTEXT = UseContext(business_function="lending")
DECIDED, UNTIL = datetime(2026, 11, 21, 10, tzinfo=UTC), datetime(2027, 2, 19, 10, tzinfo=UTC)
AnyEvent = TypeVar("AnyEvent", bound=Event)


def registered(account: str, key: Ed25519PrivateKey, purpose: str) -> SigningKeyRegistered:
    public = key.public_key()
    return SigningKeyRegistered(
        account=account, key_id=key_id(public), public_key=public_base64(public), purpose=purpose
    )


def reviewed(key: Ed25519PrivateKey, by: str = "sara", **changes: object) -> ReviewRecorded:
    """An approval; `changes` are to what was signed, the event says what it always says."""
    said = {"promotion": "p1", "ref": REF, "role": "security", "outcome": "approve", "comment": ""}
    about = {
        "digest": DIGEST, "policy_digest": POLICY, "evidence_digests": [DIGEST], "context": CONTEXT.model_dump()
    }  # fmt: skip
    envelope = sign(canonical_json({**said, **about} | changes), REVIEW, key)
    return ReviewRecorded(**said, reviewer=by, person=by.title(), envelope=envelope)


def told(event: AnyEvent, **changes: object) -> AnyEvent:
    """The same event, saying something else beside the same envelope."""
    return event.model_copy(update=changes)


def approval(key: Ed25519PrivateKey, *reviews: ReviewRecorded, **changes: object) -> PromotionApproved:
    """What approval signs over reviews; `changes` are to the signed predicate."""
    named = [
        {"role": r.role, "reviewer": r.reviewer, "person": r.person, "envelope_digest": envelope_digest(r.envelope)}
        for r in reviews
    ]
    predicate = {
        "promotion": "p1", "outcome": "approved", "context": CONTEXT.model_dump(), "environment": "production",
        "policy": {"name": "baseline", "version": "1.0.0", "digest": POLICY}, "evidence_digests": [DIGEST],
        "reviews": named, "decided_at": DECIDED.isoformat(), "expires_at": UNTIL.isoformat(),
    } | changes  # fmt: skip
    statement = {
        "_type": STATEMENT_TYPE, "predicateType": PREDICATE_TYPE, "predicate": predicate,
        "subject": [{"name": REF, "digest": {"sha256": DIGEST.removeprefix("sha256:")}}],
    }  # fmt: skip
    envelope = sign(canonical_json(statement), IN_TOTO, key)
    return PromotionApproved(
        promotion="p1", ref=REF, digest=DIGEST, context=CONTEXT, environment="production", policy_digest=POLICY,
        expires_at=UNTIL, decision_digest=envelope_digest(envelope), envelope=envelope,
    )  # fmt: skip


def granted(approved: PromotionApproved) -> VersionApproved:
    """The version's own event, by which it is admitted."""
    return VersionApproved(
        ref=approved.ref, promotion=approved.promotion, context=approved.context, environment=approved.environment,
        expires_at=approved.expires_at, decision_digest=approved.decision_digest,
    )  # fmt: skip


def approved(approver: Ed25519PrivateKey, reviewer: Ed25519PrivateKey) -> tuple[list[Event], dict[str, object]]:
    """Two keys, a review, an approval; and the decision."""
    review = reviewed(reviewer)
    approving = approval(approver, review)
    keys = [registered("sara", reviewer, "review"), registered(DECIDER, approver, "decision")]
    return [*keys, review, approving], approving.envelope


class Streams:
    """Where events stand, and by whom they are: each in its own stream, in order."""

    def __init__(self) -> None:
        self._next = Counter[str]()

    def place(self, event: Event) -> dict[str, object]:
        match event:
            case SigningKeyRegistered():
                stream, actor = account_stream(event.account), event.account
            case VersionApproved():
                stream, actor = REF, DECIDER
            case _:
                stream, actor = "promotion:p1", DECIDER
        self._next[stream] += 1
        return {"stream": stream, "version": self._next[stream] - 1, "actor": actor}
