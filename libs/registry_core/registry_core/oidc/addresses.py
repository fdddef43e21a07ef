"""Which addresses of issuers are called, and proof keys for code exchange: for servers and the command line alike."""

import base64
import hashlib
from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or (host.startswith("127.") and host.replace(".", "").isdecimal())


def may_be_called(url: str, on_behalf_of: str = "") -> bool:
    """Whether the address is https; plain http is for issuers on loopback, and what they name there.

    So no issuer leads us to a service on this machine that only listens inwards.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for what is none
    except ValueError:
        return False
    if not parts.hostname or parts.username is not None or parts.fragment or not url.isascii() or not url.isprintable():
        return False
    if is_loopback(on_behalf_of or url):
        return parts.scheme in ("http", "https") and (parts.scheme == "https" or is_loopback(url))
    return parts.scheme == "https"


def challenge_of(verifier: str) -> str:
    """The S256 code challenge of RFC 7636, section 4.2."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
