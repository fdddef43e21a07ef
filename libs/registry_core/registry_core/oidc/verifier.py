"""A bearer's text to who the issuer says it is. A token is verified once, and remembered by its digest."""

import hashlib
import json
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jws import JWSRegistry

from registry_core.clock import Clock
from registry_core.oidc.claims import Claims, ClaimsError, Expected, check
from registry_core.oidc.config import OidcConfig
from registry_core.oidc.issuer import Issuer, IssuerAwayError
from registry_core.oidc.keys import KeyRing
from registry_core.problems import Problem

LONGEST: Final = 16_384
"""Characters of a token."""
REMEMBERED: Final = 10_000
"""Verified tokens of one issuer."""
TYPES: Final = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
"""Of tokens that say who somebody is (RFC 7519, RFC 9068); a logout token, say, is none."""


class TokenError(ValueError):
    """Why a token is none of an issuer's."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom an issuer vouches for."""

    issuer: str
    subject: str
    claims: Claims
    digest: bytes
    """SHA-256 of the token."""


@dataclass(frozen=True, slots=True)
class Presented:
    """A token as it was sent; nothing of it is true yet."""

    text: str
    header: dict[str, Any]
    claims: dict[str, Any]

    @classmethod
    def parse(cls, text: str) -> "Presented":
        """Raises TokenError for anything but a compact JWS with JSON objects in it."""
        try:
            found = jws.extract_compact(text.encode() if len(text) <= LONGEST else b"")
            header, claims = found.headers(), json.loads(found.payload or b"")
        except (JoseError, ValueError, TypeError, RecursionError):
            raise TokenError("it is no signed JWT") from None
        if not isinstance(header, dict) or not isinstance(claims, dict):
            raise TokenError("it holds no JSON objects")
        return cls(text, header, claims)

    @property
    def kid(self) -> str | None:
        kid = self.header.get("kid")
        return kid if isinstance(kid, str) else None


def looks_like_jwt(text: str) -> bool:
    return text.count(".") == 2 and not text.startswith("hm")


class Verifier:
    """Tokens of the issuers that the settings name."""

    def __init__(self, config: OidcConfig, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self._issuers = {name: Issuer(name, clock) for name in config.audiences}
        self._verified: dict[str, dict[bytes, Identity]] = {name: {} for name in config.audiences}
        self._rings: dict[str, frozenset[str]] = {}

    def issuer(self, name: str) -> Issuer:
        return self._issuers[name]

    async def verify(self, text: str, audiences: Collection[str] | None = None) -> Identity:
        """Raises Problem 401 with the reason, or 503 while an issuer's keys cannot be had.

        `audiences`: for whom it has to be, by default for whom the settings say.
        """
        try:
            return await self._verify(text, audiences)
        except (TokenError, ClaimsError) as error:
            raise _refused(str(error)) from None
        except IssuerAwayError as error:
            raise _away(str(error)) from None

    async def _verify(self, text: str, audiences: Collection[str] | None) -> Identity:
        presented = Presented.parse(text)
        issuer = self._issuer_of(presented)
        known = await issuer.known(presented.kid)
        if not known.ring.knows(presented.kid):
            raise TokenError(f"its issuer has no key {presented.kid!r}"[:200])
        remembered, digest = self._remembered(issuer.name, known.ring), hashlib.sha256(text.encode()).digest()
        if digest not in remembered:
            _check_signature(presented, known.ring, known.metadata.algorithms)
        self._check(presented.claims, issuer.name, audiences)
        return remembered.setdefault(digest, Identity(issuer.name, presented.claims["sub"], presented.claims, digest))

    def _issuer_of(self, presented: Presented) -> Issuer:
        named = presented.claims.get("iss")
        found = self._issuers.get(named) if isinstance(named, str) else None
        if found is None:
            raise TokenError(f"its issuer {str(named)[:200]!r} is none whose tokens are taken here")
        return found

    def _remembered(self, issuer: str, ring: KeyRing) -> dict[bytes, Identity]:
        """What was verified with these very keys, so that nothing outlives a key that was withdrawn."""
        remembered = self._verified[issuer]
        if self._rings.get(issuer) != ring.thumbprints or len(remembered) >= REMEMBERED:
            remembered.clear()
        self._rings[issuer] = ring.thumbprints
        return remembered

    def _check(self, claims: Claims, issuer: str, audiences: Collection[str] | None) -> None:
        ours = self._config.audiences[issuer] if audiences is None else audiences
        check(claims, Expected(issuer, ours, self._clock().timestamp(), self._config.skew.total_seconds()))


def _check_signature(presented: Presented, ring: KeyRing, offered: Collection[str]) -> None:
    """By the header's algorithm if the issuer signs so, and with the issuer's key for it, never one that it brought."""
    alg, kind = presented.header.get("alg"), presented.header.get("typ", "JWT")
    if not isinstance(alg, str) or alg not in offered:
        raise TokenError(f"it is signed by {str(alg)[:40]!r}; its issuer signs by {', '.join(sorted(offered))}")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise TokenError(f"it is of type {str(kind)[:40]!r}, which says nobody's identity")
    key = ring.find(presented.kid, alg)
    if key is None:
        raise TokenError(f"its issuer has no one key for {alg} under {presented.kid!r}"[:200])
    registry = JWSRegistry(algorithms=[alg], strict_check_header=False)
    registry.max_header_length = LONGEST
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # issuers still say EdDSA for Ed25519
            jws.deserialize_compact(presented.text, key, registry=registry)
    except (JoseError, ValueError, TypeError):
        raise TokenError("its signature does not hold") from None


def _refused(why: str) -> Problem:
    return Problem(
        401, "unauthorised", f"the token is not accepted: {why}",
        fix="get a new one from its issuer, for the audience named in HALLMARK_OIDC_AUDIENCE (docs/signing-in.md)",
    )  # fmt: skip


def _away(why: str) -> Problem:
    return Problem(
        503, "issuer-away", why, headers={"Retry-After": "30"},
        fix="try again in half a minute; if it stays so, see that this server reaches the issuer",
    )  # fmt: skip
