"""DSSE 1.0.2 envelopes signed with Ed25519, over in-toto statements and payload types of our own.

Own code over `cryptography`: securesystemslib takes a signature only where its keyid names the key, while to DSSE the
keyid is a hint that may be absent.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from registry_core.proofs.canonical import canonical_json, to_base64
from registry_core.proofs.keys import key_id
from registry_core.values import sha256_digest

IN_TOTO = "application/vnd.in-toto+json"
REVIEW = "application/vnd.hallmark.review+json"
"""What a reviewer signs."""
MOST_SIGNATURES = 64


class DsseError(ValueError):
    """An envelope that is malformed, of another type, or not signed by enough of the given keys."""


@dataclass(frozen=True, slots=True)
class VerifiedPayload:
    """The bytes that were signed: parse these, never the envelope's again."""

    payload: bytes
    key_ids: tuple[str, ...]
    """Names, in the mapping given to `verify`, of the distinct keys whose signatures hold; sorted."""


def pae(payload_type: str, payload: bytes) -> bytes:
    """Pre-authentication encoding, the bytes that are signed (DSSE 1.0.2, protocol.md)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, payload_type: str, *keys: Ed25519PrivateKey) -> dict[str, Any]:
    """An envelope with one signature per key."""
    message = pae(payload_type, payload)
    signatures = [{"keyid": key_id(key.public_key()), "sig": to_base64(key.sign(message))} for key in keys]
    return {"payload": to_base64(payload), "payloadType": payload_type, "signatures": signatures}


def envelope_digest(envelope: Mapping[str, Any]) -> str:
    """`sha256:<hex>` over an envelope's canonical JSON, by which records name it."""
    return sha256_digest(canonical_json(dict(envelope)))


def key_names(envelope: Mapping[str, Any]) -> list[str]:
    """The key ids that an envelope's signatures state, whatever they are worth."""
    signatures = envelope.get("signatures")
    entries = signatures if isinstance(signatures, list) else []
    stated = [entry.get("keyid") for entry in entries if isinstance(entry, Mapping)]
    return [name for name in stated if isinstance(name, str)]


def verify(
    envelope: Mapping[str, Any], payload_type: str, keys: Mapping[str, Ed25519PublicKey], threshold: int = 1
) -> VerifiedPayload:
    """The payload, once at least `threshold` different keys of `keys` (by key id) signed it. Raises DsseError."""
    if threshold < 1:
        raise ValueError("the threshold is at least 1")
    if envelope.get("payloadType") != payload_type:
        raise DsseError(f"payloadType is {envelope.get('payloadType')!r:.100}, expected {payload_type!r}")
    payload = _decode(envelope.get("payload"), "payload")
    message = pae(payload_type, payload)
    signers: dict[bytes, str] = {}  # by raw key, so that one key under two ids counts once
    for hint, signature in _signatures(envelope):
        if name := _signer(message, signature, hint, keys):
            signers.setdefault(keys[name].public_bytes_raw(), name)
    if len(signers) < threshold:
        raise DsseError(f"{len(signers)} of the {len(keys)} given keys signed this payload, {threshold} needed")
    return VerifiedPayload(payload, tuple(sorted(signers.values())))


def _signatures(envelope: Mapping[str, Any]) -> Iterator[tuple[str | None, bytes]]:
    signatures = envelope.get("signatures")
    if not isinstance(signatures, list) or not 1 <= len(signatures) <= MOST_SIGNATURES:
        raise DsseError(f"signatures has to be a list of 1 to {MOST_SIGNATURES}")
    for entry in signatures:
        if not isinstance(entry, Mapping):
            raise DsseError("a signature is not an object")
        hint = entry.get("keyid")
        yield hint if isinstance(hint, str) else None, _decode(entry.get("sig"), "sig")


def _signer(message: bytes, signature: bytes, hint: str | None, keys: Mapping[str, Ed25519PublicKey]) -> str | None:
    """The first key that made the signature; the hint only says where to look first."""
    for name in sorted(keys, key=lambda name: name != hint):
        try:
            keys[name].verify(signature, message)
        except InvalidSignature:
            continue
        return name
    return None


def _decode(value: object, name: str) -> bytes:
    """Standard or URL-safe base64, not mixed (DSSE 1.0.2, envelope.md)."""
    if not isinstance(value, str):
        raise DsseError(f"{name} is missing or not text")
    url_safe = not {"-", "_"}.isdisjoint(value)
    if url_safe and not {"+", "/"}.isdisjoint(value):
        raise DsseError(f"{name} mixes standard and URL-safe base64")
    try:
        return base64.b64decode(value, b"-_" if url_safe else None, validate=True)
    except ValueError as error:
        raise DsseError(f"{name} is not base64: {error}") from None
