"""SLSA provenance v1 in an in-toto statement v1, signed as a DSSE envelope (slsa.dev/spec/v1.0/provenance)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from registry_core.proofs.dsse import IN_TOTO, DsseError, VerifiedPayload, verify

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
MAX_BYTES = 16 * 1024 * 1024
NAMED_FILES = 20
"""Files named in a problem; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """`verified` only if signature, key, types, required fields and subject all hold; `problem` says what does not.

    `builder` and `key_id` are given as soon as a trusted key's signature holds, whatever else is wrong.
    """

    verified: bool
    builder: str | None = None
    key_id: str | None = None
    problem: str | None = None


class _ProblemError(Exception):
    """What is wrong, and what mends it."""


def verify_provenance(
    envelope: bytes, *, version_digest: str, files: Mapping[str, str], trusted: Mapping[str, Ed25519PublicKey]
) -> Provenance:
    """Check a JSON envelope against a version and trusted keys. `files`: digests (`sha256:<hex>`) by name.

    It has to attest the version's own digest, or every one of its files: where one came from says nothing of the rest.
    """
    try:
        signed = _verify_signature(envelope, trusted)
    except _ProblemError as problem:
        return Provenance(verified=False, problem=str(problem))
    key_id = signed.key_ids[0]
    builder = None
    try:
        statement = _parse(signed.payload, "the signed statement")
        predicate = _check_statement(statement)
        builder = _check_predicate(predicate)
        _check_subject(statement, version_digest, files)
    except _ProblemError as problem:
        return Provenance(verified=False, builder=builder, key_id=key_id, problem=str(problem))
    return Provenance(verified=True, builder=builder, key_id=key_id)


def _verify_signature(envelope: bytes, trusted: Mapping[str, Ed25519PublicKey]) -> VerifiedPayload:
    if len(envelope) > MAX_BYTES:
        raise _ProblemError(f"the envelope has more than {MAX_BYTES} bytes; attach one attestation only")
    if not trusted:
        raise _ProblemError("no key is trusted for provenance; add the builder's public key")
    try:
        return verify(_parse(envelope, "the envelope"), IN_TOTO, trusted)
    except DsseError as error:
        raise _ProblemError(f"the DSSE envelope does not verify: {error}; sign it with a trusted key") from None


def _parse(raw: bytes, what: str) -> dict[str, Any]:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise _ProblemError(f"{what} is not a JSON object; attach a DSSE envelope with an in-toto statement")
    return document


def _check_statement(statement: dict[str, Any]) -> dict[str, Any]:
    """The predicate. Types are compared whole: another version is another format."""
    if statement.get("_type") != STATEMENT_TYPE:
        raise _ProblemError(f"_type is {statement.get('_type')!r:.100}; it has to be {STATEMENT_TYPE}")
    if statement.get("predicateType") != PREDICATE_TYPE:
        raise _ProblemError(f"predicateType is {statement.get('predicateType')!r:.100}; it has to be {PREDICATE_TYPE}")
    predicate: dict[str, Any] = _require(statement, "predicate", dict)
    return predicate


def _check_predicate(predicate: dict[str, Any]) -> str:
    """The builder's id. SLSA: null, empty and absent are equal, so a required field must hold something."""
    build = _require(predicate, "buildDefinition", dict)
    _require(build, "buildType", str)
    _require(build, "externalParameters", dict)
    builder = _require(_require(predicate, "runDetails", dict), "builder", dict)
    identity: str = _require(builder, "id", str)
    return identity


def _check_subject(statement: dict[str, Any], version_digest: str, files: Mapping[str, str]) -> None:
    """By digest only; names of subjects mean nothing (in-toto Statement v1)."""
    subjects = _require(statement, "subject", list)
    for subject in subjects:
        if not isinstance(subject, dict) or not isinstance(subject.get("digest"), dict) or not subject["digest"]:
            raise _ProblemError("a subject has no digest; give each its sha256")
    attested = {f"sha256:{subject['digest'].get('sha256')}" for subject in subjects}
    missing = [name for name, digest in files.items() if digest not in attested]
    if version_digest not in attested and (missing or not files):
        raise _ProblemError(
            f"no subject has the digest of this version, nor of {_listed(missing)}; attest every file that was uploaded"
        )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED_FILES} more" if len(names) > NAMED_FILES else ""
    return ", ".join(names[:NAMED_FILES]) + more


def _require(owner: dict[str, Any], field: str, kind: type) -> Any:
    value = owner.get(field)
    if not isinstance(value, kind) or not value:
        raise _ProblemError(f"{field} is missing, empty or not a {kind.__name__}; SLSA v1 requires it")
    return value
