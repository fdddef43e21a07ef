"""One issuer: its discovery document and its keys, fetched when wanted, kept, and asked for anew in good time.

OpenID Connect Discovery 1.0, sections 4.1 and 4.3.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self

import structlog

from registry_core.clock import Clock
from registry_core.oidc.addresses import may_be_called
from registry_core.oidc.keys import ALGORITHMS, KeyRing
from registry_core.oidc.outgoing import OutgoingError, get_json

log = structlog.get_logger()
FRESH: Final = timedelta(minutes=10)
"""After this keys are asked for again, so that one that was withdrawn goes out."""
PAUSE: Final = timedelta(seconds=30)
"""Between two attempts, whatever tokens name: a flood of unknown keys is one call, and so is an issuer that is away."""
LONGEST: Final = timedelta(hours=24)
"""For so long keys hold while the issuer does not answer."""


class IssuerAwayError(Exception):
    """Nothing can be verified just now; the message says why."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What Hallmark uses of a discovery document."""

    issuer: str
    jwks_uri: str
    algorithms: frozenset[str]
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    end_session_endpoint: str = ""
    names_itself: bool = False
    """Sends `iss` with every authorization response (RFC 9207)."""
    basic: bool = True
    """Takes the client's secret by HTTP Basic."""

    @classmethod
    def of(cls, issuer: str, document: Mapping[str, Any]) -> Self:
        """Raises OutgoingError for another issuer's document, or one that leads where nobody may be led."""
        if document.get("issuer") != issuer:
            raise OutgoingError(f"its discovery document is that of {str(document.get('issuer'))[:200]!r}")
        named = {name: _address(issuer, document, name) for name in _ENDPOINTS}
        if not named["jwks_uri"]:
            raise OutgoingError("its discovery document names no jwks_uri")
        offered = document.get("id_token_signing_alg_values_supported", ["RS256"])
        methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        signs_by = frozenset(map(str, offered)) if isinstance(offered, list) else frozenset[str]()
        return cls(
            issuer, algorithms=frozenset(ALGORITHMS) & signs_by,
            names_itself=document.get("authorization_response_iss_parameter_supported") is True,
            basic=isinstance(methods, list) and "client_secret_basic" in methods, **named,
        )  # fmt: skip


_ENDPOINTS: Final = ("jwks_uri", "authorization_endpoint", "token_endpoint", "end_session_endpoint")


def _address(issuer: str, document: Mapping[str, Any], name: str) -> str:
    url = document.get(name) or ""
    if url and not (isinstance(url, str) and may_be_called(url, issuer)):
        raise OutgoingError(f"its {name} is no https address: {str(url)[:200]!r}")
    return str(url)


@dataclass(frozen=True, slots=True)
class Known:
    """What an issuer said, and when."""

    metadata: Metadata
    ring: KeyRing
    at: datetime


class Issuer:
    """Shared by all requests of a process."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name, self._clock = name, clock
        self._known: Known | None = None
        self._tried: datetime | None = None
        self._reason = "it was not asked yet"
        self._lock = asyncio.Lock()
        self._behind: asyncio.Task[None] | None = None

    async def known(self, kid: str | None = None) -> Known:
        """Metadata and keys, with the key of this id if the issuer has it. Raises IssuerAwayError."""
        if self._known and self._known.ring.knows(kid) and self._age() < LONGEST:
            if self._age() >= FRESH and self._may_try():
                self._refresh_behind()
            return self._known
        async with self._lock:
            if self._may_try() and not (self._known and self._known.ring.knows(kid) and self._age() < FRESH):
                await self._refresh()
        if self._known is None or self._age() >= LONGEST:
            raise IssuerAwayError(f"the issuer {self.name} cannot be asked for its keys: {self._reason}")
        return self._known

    def _age(self) -> timedelta:
        return self._clock() - self._known.at if self._known else LONGEST

    def _may_try(self) -> bool:
        return self._tried is None or self._clock() - self._tried >= PAUSE

    def _refresh_behind(self) -> None:
        """Whoever has a key that is known need not wait for others."""
        if self._behind is None or self._behind.done():
            self._behind = asyncio.create_task(self._refresh())

    async def _refresh(self) -> None:
        self._tried = self._clock()
        try:
            metadata, ring = await _ask(self.name)
            self._known = Known(metadata, ring, self._clock())
        except OutgoingError as error:
            self._reason = str(error)
            log.warning("an issuer's keys were not had", issuer=self.name, reason=self._reason)


async def _ask(issuer: str) -> tuple[Metadata, KeyRing]:
    """Raises OutgoingError."""
    metadata = Metadata.of(issuer, await get_json(f"{issuer.rstrip('/')}/.well-known/openid-configuration"))
    ring = KeyRing.of(await get_json(metadata.jwks_uri))
    if not ring.entries:
        raise OutgoingError(f"{metadata.jwks_uri} holds no key that can verify")
    return metadata, ring
