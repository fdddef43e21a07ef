"""Customers' pseudonyms in windows from before every customer had a random one of their own (`store/vault.py`).

HMAC-SHA256 under one key that never leaves the installation: destroying it makes all of them anonymous at once.
"""

import hmac
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_NAME = "customer-pseudonyms"
Pseudonym = Callable[[str], str]


def pseudonyms(key: Ed25519PrivateKey) -> Pseudonym:
    """The pseudonym (64 hex digits) of a customer's id, under a secret derived from this key (HKDF, RFC 5869)."""
    derived = HKDF(SHA256(), length=32, salt=None, info=b"hallmark customer pseudonym v1")
    secret = derived.derive(key.private_bytes_raw())

    def pseudonym(customer: str) -> str:
        return hmac.digest(secret, customer.strip().encode("utf-8", "surrogatepass"), "sha256").hex()

    return pseudonym
