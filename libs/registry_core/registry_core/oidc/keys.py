"""An issuer's public keys (JWK Set, RFC 7517), and which of them may verify what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from joserfc import jwk
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

MOST: Final = 100
"""Keys of one set; issuers publish two to ten."""
SMALLEST_RSA: Final = 2048
"""Bits (RFC 7518, section 3.3)."""
ALGORITHMS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    "ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519", "Ed25519": "Ed25519",
}  # fmt: skip
"""By algorithm, the one form of key that it takes. Symmetric ones and `none` are not here, and nowhere else."""
PublicKey = RSAKey | ECKey | OKPKey


@dataclass(frozen=True, slots=True)
class Entry:
    kid: str | None
    form: str
    """RSA, or the curve's name."""
    alg: str | None
    """The only algorithm that the issuer uses it with, where it says so."""
    key: PublicKey

    def verifies(self, kid: str | None, alg: str) -> bool:
        return (kid is None or kid == self.kid) and ALGORITHMS.get(alg) == self.form and self.alg in (None, alg)


@dataclass(frozen=True, slots=True)
class KeyRing:
    entries: Sequence[Entry] = ()
    thumbprints: frozenset[str] = frozenset()
    """RFC 7638: whether two rings are the same."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """The keys that can verify a signature; others, and those that cannot be read, are left out."""
        listed = document.get("keys")
        found = [_entry(each) for each in listed[:MOST]] if isinstance(listed, list) else []
        entries = [entry for entry in found if entry]
        return cls(entries, frozenset(f"{entry.kid} {entry.key.thumbprint()}" for entry in entries))

    def knows(self, kid: str | None) -> bool:
        return kid is None or any(entry.kid == kid for entry in self.entries)

    def find(self, kid: str | None, alg: str) -> PublicKey | None:
        """The one key that a token of this header was signed with; None where none or several could have."""
        fitting = [entry.key for entry in self.entries if entry.verifies(kid, alg)]
        return fitting[0] if len(fitting) == 1 else None


def _entry(document: Any) -> Entry | None:
    if not isinstance(document, dict) or document.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    operations = document.get("key_ops", ["verify"])
    if document.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    try:
        key = jwk.import_key({name: value for name, value in document.items() if name not in ("d", "x5c")})
        form = _form(key)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):  # whatever is wrong with it, it is no key
        return None
    kid, alg = document.get("kid"), document.get("alg")
    if not isinstance(key, PublicKey) or form not in ALGORITHMS.values():
        return None
    return Entry(kid if isinstance(kid, str) else None, form, alg, key)


def _form(key: Any) -> str:
    if isinstance(key, RSAKey):
        return "RSA" if key.public_key.key_size >= SMALLEST_RSA else "too small"
    return str(key.curve_name)
