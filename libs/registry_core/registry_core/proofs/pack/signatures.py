"""Reviews and decisions in an evidence pack: whose key signed each, as the log itself says it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from registry_core.events.base import RecordedEvent
from registry_core.events.governance import SigningKeyRegistered
from registry_core.events.promotions import PromotionApproved, ReviewRecorded
from registry_core.proofs.canonical import parse_json, take
from registry_core.proofs.dsse import IN_TOTO, REVIEW, envelope_digest, verify
from registry_core.proofs.keys import key_id, public_base64, public_from_base64

DECIDER: Final = "service:approval"
"""The account under which the keys of decision records are registered."""
_STATED: Final = ("promotion", "ref", "role", "outcome", "comment")
"""What a reviewer signed and the event says once more."""


class Signatures:
    """The keys that the events so far register, and which reviews and approvals they bear out."""

    def __init__(self) -> None:
        self._keys = defaultdict[tuple[str, str], dict[str, Ed25519PublicKey]](dict)
        self._reviews: set[str] = set()
        self._approvals: set[str] = set()

    def event(self, event: RecordedEvent) -> Iterator[str]:
        """Take the next event in log order; what is wrong with a signature in it."""
        if event.body is None or event.model not in (SigningKeyRegistered, ReviewRecorded, PromotionApproved):
            return
        try:
            match event.data:
                case SigningKeyRegistered() as registered:
                    self._register(registered)
                case ReviewRecorded() as review:
                    self._check_review(review)
                case PromotionApproved() as approved:
                    self._check_approval(approved)
        except (ValueError, RecursionError) as error:
            yield f"{event.type.split('.')[-2]}: {error}"

    def decision(self, envelope: Mapping[str, Any], keys: Iterable[Ed25519PublicKey]) -> Iterator[str]:
        """A decision set apart: it has to be one of the approvals, its keys those of the deciding service."""
        if envelope_digest(envelope) not in self._approvals:
            yield "no approval before it in the pack, signed by a registered key, is this decision"
        known = {public_base64(key) for key in self._keys[DECIDER, "decision"].values()}
        if strange := [key_id(key) for key in keys if public_base64(key) not in known]:
            yield f"{DECIDER} registered no key {strange[0]} in the pack's events"

    def _register(self, registered: SigningKeyRegistered) -> None:
        key = public_from_base64(registered.public_key)
        if registered.key_id != key_id(key):
            raise ValueError(f"the key's id is {key_id(key)}, not {registered.key_id}")
        self._keys[registered.account, registered.purpose][registered.key_id] = key

    def _check_review(self, review: ReviewRecorded) -> None:
        said = self._signed(review.envelope, REVIEW, review.reviewer, "review")
        if differs := [name for name in _STATED if said.get(name) != getattr(review, name)]:
            raise ValueError(f"{review.reviewer} signed another {', '.join(differs)} than the event says")
        self._reviews.add(envelope_digest(review.envelope))

    def _check_approval(self, approved: PromotionApproved) -> None:
        digest = envelope_digest(approved.envelope)
        if digest != approved.decision_digest:
            raise ValueError(f"its decision has the digest {digest}, not {approved.decision_digest}")
        said = self._signed(approved.envelope, IN_TOTO, DECIDER, "decision")
        predicate = take(said, "predicate", dict)
        subject = [{"name": approved.ref, "digest": {"sha256": approved.digest.removeprefix("sha256:")}}]
        if (said.get("subject"), predicate.get("promotion")) != (subject, approved.promotion):
            raise ValueError(f"the signed decision is about another version or promotion than {approved.ref}")
        named = {take(_an_object(review), "envelope_digest", str) for review in take(predicate, "reviews", list)}
        if missing := sorted(named - self._reviews):
            raise ValueError(f"it rests on the review {missing[0]}, which no review before it in the pack bears out")
        self._approvals.add(digest)

    def _signed(self, envelope: dict[str, Any], payload_type: str, account: str, purpose: str) -> dict[str, Any]:
        """The signed JSON object. Raises ValueError if no key of the account signed it that was registered before."""
        keys = self._keys[account, purpose]
        if not keys:
            raise ValueError(f"{account} registered no {purpose} key in the pack's events before it")
        said = parse_json(verify(envelope, payload_type, keys).payload)
        return _an_object(said)


def _an_object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("a part of what was signed is not a JSON object")  # noqa: TRY004 - to the reader a bad value
    return value
