"""Texts about a person, encrypted under a key of that person's own: with the key gone, so is what they say.

AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce; the pseudonym is bound in as associated data. A person's key
is itself wrapped under the installation's privacy key, from which everything here derives (HKDF, RFC 5869). Where keys
and pseudonyms are kept: `store/vault.py`. Why so: docs/decisions/0016.
"""

import base64
import hmac
import os
import re
import secrets
import unicodedata
from typing import Annotated, Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import StringConstraints

from registry_core.values import Value

ERASED: Final = "[erased]"
"""How a text is shown whose key is gone."""
_PSEUDONYM: Final = r"^[pc]-[0-9a-f]{20}$"
Pseudonym = Annotated[str, StringConstraints(pattern=_PSEUDONYM)]
"""`p-` (a person) or `c-` (a customer) and 80 random bits: it says nothing about whom it stands for."""
_NONCE: Final = 12
Kind = Literal["p", "c"]


class PrivacyKeyError(ValueError):
    """The installation's privacy key is not of its form, or not the one that the keys were wrapped under."""


class Sealed(Value):
    """A text that one person's key opens. `plain` is only what an upcaster made of an event from before sealing."""

    scheme: Literal["aes-256-gcm", "plain"]
    data: str
    """Base64 of nonce, ciphertext and tag; or the text itself."""


def new_pseudonym(kind: Kind) -> str:
    return f"{kind}-{secrets.token_hex(10)}"


def is_pseudonym(text: str) -> bool:
    return re.fullmatch(_PSEUDONYM, text, re.ASCII) is not None


def new_key() -> bytes:
    """32 random bytes."""
    return AESGCM.generate_key(256)


def seal(text: str, pseudonym: str, key: bytes) -> Sealed:
    """The text as it goes into an event."""
    return Sealed(scheme="aes-256-gcm", data=base64.b64encode(_encrypt(text.encode(), pseudonym, key)).decode())


def unseal(sealed: Sealed, pseudonym: str, key: bytes | None) -> str:
    """The text, or `[erased]` without the key. Raises PrivacyKeyError for another key, or an altered text."""
    if sealed.scheme == "plain":
        return sealed.data
    if key is None:
        return ERASED
    return _decrypt(base64.b64decode(sealed.data), pseudonym, key).decode()


_INVISIBLE: Final = ("Cf", "Cn", "Co")
"""Unicode's categories of characters that only format, and of those that mean nothing to anybody else."""


def person_key(person: str) -> str:
    """Persons compare in Unicode's form NFKC, without case, what cannot be seen, and more than one space in a row.

    So no spelling makes two of one; letters of other scripts that look alike still do.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", person).casefold())
    return " ".join("".join(c for c in folded if unicodedata.category(c) not in _INVISIBLE).split())


class PrivacyKey:
    """What the installation's one secret is good for: finding a name's pseudonym, and wrapping persons' keys."""

    def __init__(self, secret: bytes) -> None:
        """`secret`: 32 bytes."""
        if len(secret) != 32:
            raise PrivacyKeyError(f"the privacy key has {len(secret)} bytes; make one with `openssl rand -base64 32`")
        self._lookup, self._wrap, self.check = (_derived(secret, use) for use in ("lookup", "wrap", "check"))
        """`check` tells, without giving anything away, whether two processes hold the same key."""

    @classmethod
    def parse(cls, text: str) -> "PrivacyKey":
        """From base64, as in the setting. Raises PrivacyKeyError."""
        try:
            return cls(base64.b64decode(text, validate=True))
        except ValueError as error:
            raise PrivacyKeyError(f"HALLMARK_PRIVACY_KEY has to be the base64 of 32 random bytes: {error}") from None

    def lookup(self, kind: Kind, name: str) -> bytes:
        """HMAC-SHA256 by which a name is found without being kept. Spellings that four eyes takes for one are one."""
        folded = person_key(name) if kind == "p" else name.strip()
        return hmac.digest(self._lookup, f"{kind}\n{folded}".encode("utf-8", "surrogatepass"), "sha256")

    def wrap(self, key: bytes, pseudonym: str) -> bytes:
        return _encrypt(key, pseudonym, self._wrap)

    def unwrap(self, wrapped: bytes, pseudonym: str) -> bytes:
        """Raises PrivacyKeyError."""
        return _decrypt(wrapped, pseudonym, self._wrap)


def _derived(secret: bytes, use: str) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=f"hallmark privacy {use} v1".encode()).derive(secret)


def _encrypt(data: bytes, pseudonym: str, key: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, data, pseudonym.encode())


def _decrypt(data: bytes, pseudonym: str, key: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(data[:_NONCE], data[_NONCE:], pseudonym.encode())
    except (InvalidTag, ValueError):
        raise PrivacyKeyError(
            f"what is sealed for {pseudonym} does not open: it was sealed under another key"
        ) from None
