"""Reviews, decisions and approvals in an evidence pack: whose key signed each, as the log itself says it, and what."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from registry_core.events.base import Event, RecordedEvent
from registry_core.events.governance import SigningKeyRegistered
from registry_core.events.lifecycle import VersionApproved
from registry_core.events.promotions import PromotionApproved, ReviewOpened, ReviewRecorded
from registry_core.identity import account_stream
from registry_core.personal import person_key
from registry_core.proofs.canonical import parse_json
from registry_core.proofs.decision import Decision, DecisionReview, verify_decision
from registry_core.proofs.dsse import REVIEW, envelope_digest, verify
from registry_core.proofs.keys import key_id, public_base64, public_from_base64
from registry_core.values import UseContext

DECIDER: Final = "service:approval"
"""The account under which the keys of decision records are registered."""
_Keys = dict[str, Ed25519PublicKey]
_REVIEWED: Final = ("promotion", "ref", "role", "outcome", "comment")
"""What a reviewer signed and the event says once more."""
_DECIDED: Final = ("ref", "digest", "promotion", "context", "environment", "expires_at")
"""What was signed as decided and the event says once more."""
_GRANTED: Final = ("ref", "promotion", "context", "environment", "expires_at")
"""What the promotion's approval says and the version's once more: by the latter it is admitted."""


class Signatures:
    """What the events so far register, ask for, and bear out."""

    def __init__(self) -> None:
        self._keys = defaultdict[tuple[str, str], _Keys](dict)
        self._asked = defaultdict[str, set[str]](set)
        self._reviews: dict[str, tuple[ReviewRecorded, dict[str, Any]]] = {}
        self._approvals: dict[str, PromotionApproved] = {}
        self._granted: set[str] = set()

    @property
    def decision_keys(self) -> list[str]:
        """Ids of the keys that decisions are checked with."""
        return sorted(self._keys[DECIDER, "decision"])

    def event(self, event: RecordedEvent) -> Iterator[str]:
        """Take the next event in log order; what is wrong with what it says was signed."""
        if event.body is None or event.model not in _CHECKS:
            return
        try:
            _CHECKS[event.model](self, event, event.data)
        except ValidationError as error:
            yield f"its body is not of its type: {error.errors()[0]['msg']}"
        except (ValueError, RecursionError) as error:
            yield str(error)

    def decision(self, envelope: Mapping[str, Any], keys: Iterable[Ed25519PublicKey]) -> Iterator[str]:
        """A decision set apart: it has to be one of the approvals, its keys those of the deciding service."""
        if envelope_digest(envelope) not in self._approvals:
            yield "no approval before it in the pack, signed by a registered key, is this decision"
        known = set(map(public_base64, self._keys[DECIDER, "decision"].values()))
        if strange := [key_id(key) for key in keys if public_base64(key) not in known]:
            yield f"{DECIDER} registered no key {strange[0]} in the pack's events"

    def _register(self, event: RecordedEvent, registered: SigningKeyRegistered) -> None:
        key = public_from_base64(registered.public_key)
        if registered.key_id != key_id(key):
            raise ValueError(f"the key's id is {key_id(key)}, not {registered.key_id}")
        if event.stream != account_stream(registered.account):
            raise ValueError(f"a key of {registered.account} is registered in the stream {event.stream}")
        if registered.purpose == "decision" and (registered.account, event.actor) != (DECIDER, DECIDER):
            raise ValueError(f"{event.actor} registers a decision key for {registered.account}; only {DECIDER} does")
        self._keys[registered.account, registered.purpose][registered.key_id] = key

    def _ask(self, _event: RecordedEvent, opened: ReviewOpened) -> None:
        self._asked[opened.promotion].update(opened.roles)

    def _check_review(self, _event: RecordedEvent, review: ReviewRecorded) -> None:
        said = parse_json(verify(review.envelope, REVIEW, self._keys_of(review.reviewer, "review")).payload)
        if not isinstance(said, dict):
            raise ValueError("what was signed is not a JSON object")  # noqa: TRY004 - to the reader a bad value
        if differs := [name for name in _REVIEWED if said.get(name) != getattr(review, name)]:
            raise ValueError(f"{review.reviewer} signed another {', '.join(differs)} than the event says")
        self._reviews[envelope_digest(review.envelope)] = (review, said)

    def _check_approval(self, _event: RecordedEvent, approved: PromotionApproved) -> None:
        digest = envelope_digest(approved.envelope)
        if digest != approved.decision_digest:
            raise ValueError(f"its decision has the digest {digest}, not {approved.decision_digest}")
        if digest in self._approvals:
            raise ValueError("its decision is recorded a second time")
        decision = verify_decision(approved.envelope, self._keys_of(DECIDER, "decision"))
        differs = [name for name in _DECIDED if getattr(decision, name) != getattr(approved, name)]
        if differs or decision.policy.digest != approved.policy_digest:
            raise ValueError(f"the event says another {', '.join(differs or ['policy'])} than was signed as decided")
        self._check_grounds(decision)
        self._approvals[digest] = approved

    def _check_grounds(self, decision: Decision) -> None:
        """Every role asked for approved, each by another person, and signed for this very content, policy and use."""
        for named in decision.reviews:
            self._check_ground(decision, named)
        if missing := self._asked[decision.promotion] - {named.role for named in decision.reviews}:
            raise ValueError(f"a review as {min(missing)} was asked for, and the decision rests on none")
        persons = [person_key(named.person) for named in decision.reviews]
        if len(set(persons)) < len(persons):
            raise ValueError("it rests on two reviews by one person")

    def _check_ground(self, decision: Decision, named: DecisionReview) -> None:
        if named.envelope_digest not in self._reviews:
            raise ValueError(f"it rests on the review {named.envelope_digest}, which nothing before it bears out")
        review, said = self._reviews[named.envelope_digest]
        whose = (named.role, named.reviewer) == (review.role, review.reviewer)
        about = (review.outcome, review.promotion, review.ref) == ("approve", decision.promotion, decision.ref)
        if not (whose and about):
            raise ValueError(f"the review of {named.reviewer} as {named.role} is another, or does not approve this")
        signed = (said.get("digest"), said.get("policy_digest"), said.get("evidence_digests"))
        if signed != (decision.digest, decision.policy.digest, sorted(set(decision.evidence_digests))):
            raise ValueError(f"{named.reviewer} signed for another content, policy or evidence than was decided about")
        if UseContext.model_validate(said.get("context")) != decision.context:
            raise ValueError(f"{named.reviewer} signed for another use than was decided about")

    def _check_grant(self, _event: RecordedEvent, granted: VersionApproved) -> None:
        approved = self._approvals.get(granted.decision_digest)
        if approved is None:
            raise ValueError(f"the version counts as approved by {granted.decision_digest}, which nothing bears out")
        if differs := [name for name in _GRANTED if getattr(granted, name) != getattr(approved, name)]:
            raise ValueError(f"the version counts as approved for another {', '.join(differs)} than was decided")
        if granted.decision_digest in self._granted:
            raise ValueError("the version counts as approved a second time by one decision")
        self._granted.add(granted.decision_digest)

    def _keys_of(self, account: str, purpose: str) -> _Keys:
        if keys := self._keys[account, purpose]:
            return keys
        raise ValueError(f"{account} registered no {purpose} key in the pack's events before it")


_CHECKS: Final[Mapping[type[Event] | None, Any]] = {
    SigningKeyRegistered: Signatures._register,
    ReviewOpened: Signatures._ask,
    ReviewRecorded: Signatures._check_review,
    PromotionApproved: Signatures._check_approval,
    VersionApproved: Signatures._check_grant,
}
