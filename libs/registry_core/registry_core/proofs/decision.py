"""The signed decision record: an in-toto Statement v1 in DSSE that anyone can verify offline."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import AwareDatetime, Field

from registry_core.proofs.canonical import canonical_json, parse_json
from registry_core.proofs.dsse import IN_TOTO, DsseError, envelope_digest, sign, verify
from registry_core.values import Account, Digest, Line, Name, Ref, SemVer, UseContext, Value

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:hallmark:decision:v1"


class DecisionError(ValueError):
    """A record that is no decision signed by one of the given keys."""


class GrantedException(Value):
    """A granted exception: one rule (and finding, if named) of one version, until an hour."""

    exception: Line
    ref: Ref
    rule: Line
    finding: Line | None = None
    reason: Line
    requested_by: Account
    granted_by: Account
    expires_at: AwareDatetime

    def in_force(self, ref: str, at: datetime) -> bool:
        return self.ref == ref and at < self.expires_at


class DecisionPolicy(Value):
    name: Name
    version: SemVer
    digest: Digest


class DecisionReview(Value):
    role: str
    reviewer: Account
    person: str
    envelope_digest: Digest


class _Predicate(Value):
    promotion: str
    outcome: Literal["approved"] = "approved"
    """Only approvals are signed; refusals and rejections are events that grant nothing."""
    context: UseContext
    environment: Name
    policy: DecisionPolicy
    evidence_digests: tuple[Digest, ...]
    reviews: Annotated[tuple[DecisionReview, ...], Field(min_length=1)]
    exceptions: tuple[GrantedException, ...] = ()
    decided_at: AwareDatetime
    expires_at: AwareDatetime


class Decision(_Predicate):
    """A predicate and its subject: what was decided about which content."""

    ref: Ref
    digest: Digest


class _SubjectDigest(Value):
    sha256: str


class _Subject(Value):
    name: Ref
    digest: _SubjectDigest


class _Statement(Value):
    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: Annotated[tuple[_Subject, ...], Field(min_length=1, max_length=1)]
    predicate_type: Literal["urn:hallmark:decision:v1"] = Field(alias="predicateType")
    predicate: _Predicate


def make_decision(decision: Decision, signing_key: Ed25519PrivateKey) -> tuple[dict[str, Any], str]:
    """The signed envelope and its digest. The same decision and key always give the same bytes (RFC 8032)."""
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": decision.ref, "digest": {"sha256": decision.digest.removeprefix("sha256:")}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": decision.model_dump(mode="json", exclude={"ref", "digest"}, exclude_none=True),
    }
    envelope = sign(canonical_json(statement), IN_TOTO, signing_key)
    return envelope, envelope_digest(envelope)


def verify_decision(envelope: Mapping[str, Any], keys: Mapping[str, Ed25519PublicKey]) -> Decision:
    """The decision that one of `keys` signed; its expiry is for the caller's clock. Raises `DecisionError`."""
    try:
        payload = verify(envelope, IN_TOTO, keys).payload
        statement = _Statement.model_validate(parse_json(payload))
        subject = statement.subject[0]
        fields = {**dict(statement.predicate), "ref": subject.name, "digest": f"sha256:{subject.digest.sha256}"}
        return Decision.model_validate(fields)
    except DsseError as error:
        raise DecisionError(f"{error}; verify with the decision key that the registry publishes") from error
    except ValueError as error:
        raise DecisionError(f"signed, but not a decision of type {PREDICATE_TYPE}: {error}") from error
