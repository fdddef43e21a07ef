"""Reviews: who may give one (four eyes over persons), what exactly is signed, and whether it was."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from registry_core.events.promotions import RuleResult
from registry_core.personal import person_key
from registry_core.persons import same_person
from registry_core.proofs.canonical import canonical_json, from_base64, to_base64
from registry_core.proofs.dsse import REVIEW, DsseError, verify
from registry_core.values import UseContext

Outcome = Literal["approve", "reject", "remediate"]


class ReviewSignatureError(ValueError):
    """A review whose envelope does not hold for what would be recorded; the text says what to sign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """An account, the person behind it and its roles."""

    account: str
    person: str
    roles: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """The persons (not accounts) who had a hand in a version, and so may not decide about it."""

    registered_by: Collection[str]
    requested_by: Collection[str]
    uploaded_by: Collection[str] = ()
    amended_by: Collection[str] = ()
    evidence_by: Collection[str] = ()
    exception_by: Collection[str] = ()
    granted_by: Collection[str] = ()

    def parts_of(self, person: str) -> tuple[str, ...]:
        """What this person did, in words; empty if nothing."""
        did = {
            "registered the version": self.registered_by,
            "requested the promotion": self.requested_by,
            "uploaded files": self.uploaded_by,
            "amended the metadata": self.amended_by,
            "produced evidence": self.evidence_by,
            "asked for an exception": self.exception_by,
            "granted an exception": self.granted_by,
        }
        return tuple(words for words, persons in did.items() if any(same_person(person, other) for other in persons))


class EarlierReview(Protocol):
    """A review that already counts in this promotion."""

    @property
    def role(self) -> str: ...
    @property
    def person(self) -> str: ...


def may_review(
    *,
    role: str,
    asked_roles: Collection[str],
    reviewer: Identity,
    parties: Parties,
    earlier_reviews: Iterable[EarlierReview],
) -> RuleResult | None:
    """None if this review may count, else why not. No role stands above this: administrators are asked the same.

    A person may review again for the same role (the later review counts), never for a second one.
    """
    problem = _problem(role, asked_roles, reviewer, parties, earlier_reviews)
    if problem is None:
        return None
    rule, detail, fix = problem
    return refusal(rule, role=role, account=reviewer.account, person=reviewer.person, detail=detail, fix=fix)


def _problem(
    role: str, asked_roles: Collection[str], reviewer: Identity, parties: Parties, earlier: Iterable[EarlierReview]
) -> tuple[str, str, str] | None:
    """Rule, detail and fix of the first reason against the review."""
    needed = f"reviewer:{role}"
    another = f"ask another person with the role {needed} to review"
    if role not in asked_roles:
        return (
            "review-role-asked",
            f"no review as {role} was asked for",
            f"review as one of: {', '.join(sorted(asked_roles))}",
        )
    if needed not in reviewer.roles:
        return "review-role-held", f"{reviewer.account} does not hold {needed}", another
    if not person_key(reviewer.person):
        return "four-eyes", f"nobody knows who is behind {reviewer.account}", "have the account's person recorded"
    if did := parties.parts_of(reviewer.person):
        return "four-eyes", f"{_behind(reviewer)} {' and '.join(did)}", another
    taken = [r.role for r in earlier if same_person(r.person, reviewer.person) and r.role != role]
    if taken:
        return "four-eyes", f"{_behind(reviewer)} already reviewed as {taken[0]}; one person, one role", another
    return None


def _behind(reviewer: Identity) -> str:
    """Persons have no names in the log, accounts do."""
    return f"the person behind {reviewer.account}"


_TITLES = {
    "review-role-asked": "A review is for a role that the promotion asks for",
    "review-role-held": "A reviewer holds the role",
    "four-eyes": "A review comes from a person who had no part in what is reviewed",
    "review-reasoned": "A review that does not approve says why",
    "review-signed": "A reviewer signed exactly what is recorded",
    "audit-current": "An approval rests on an audit that still holds",
}


def refusal(rule: str, *, role: str, account: str, person: str, detail: str, fix: str) -> RuleResult:
    """Why a review may not count, as recorded in `ReviewRefused`."""
    return RuleResult(
        rule=rule,
        title=_TITLES[rule],
        outcome="fail",
        mode="enforce",
        evidence=(f"account {account}", f"person {person}", f"role {role}"),
        detail=detail,
        owner=account,
        fix=fix,
    )


def review_statement(
    *,
    promotion: str,
    ref: str,
    digest: str,
    policy_digest: str,
    evidence_digests: Iterable[str],
    context: UseContext,
    role: str,
    outcome: Outcome,
    comment: str,
) -> bytes:
    """The canonical JSON that a reviewer signs as DSSE; evidence digests sorted, each once."""
    return canonical_json(
        {
            "comment": comment,
            "context": context.model_dump(mode="json"),
            "digest": digest,
            "evidence_digests": sorted(set(evidence_digests)),
            "outcome": outcome,
            "policy_digest": policy_digest,
            "promotion": promotion,
            "ref": ref,
            "role": role,
        }
    )


def check_review_envelope(envelope: Mapping[str, Any], statement: bytes, keys: Mapping[str, Ed25519PublicKey]) -> str:
    """The id of the key that signed exactly `statement`. `keys`: the reviewer's own review keys, by key id.

    Raises `ReviewSignatureError`.
    """
    try:
        verified = verify(envelope, REVIEW, keys)
    except DsseError as error:
        raise ReviewSignatureError(f"{error}; sign the statement with a registered review key of yours") from error
    if verified.payload != statement:
        raise ReviewSignatureError(
            "what was signed is not what would be recorded; fetch the statement and sign it anew"
        )
    if not _plain(envelope, statement, verified.key_ids[0]):
        raise ReviewSignatureError("the envelope holds more than the statement and one signature; send just these")
    return verified.key_ids[0]


def _plain(envelope: Mapping[str, Any], statement: bytes, key: str) -> bool:
    """Whether nothing unsigned rides along: DSSE itself lets through other members, signatures and spellings."""
    signature = envelope["signatures"][0].get("sig")
    try:
        from_base64(signature)
    except ValueError:
        return False
    signatures = [{"keyid": key, "sig": signature}]
    return envelope == {"payload": to_base64(statement), "payloadType": REVIEW, "signatures": signatures}
