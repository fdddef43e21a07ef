"""What the settings say about issuers, checked once at start."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self
from urllib.parse import urlsplit

from registry_core.identity import ROLE
from registry_core.oidc.addresses import may_be_called
from registry_core.settings import Settings


class OidcConfigError(ValueError):
    """Settings that do not go together; the message says how to mend them."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """How people sign in at the one issuer that is theirs."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    cli_client_id: str
    scopes: str
    name: str
    """As people call the issuer; on the button."""
    session: timedelta
    roles_claim: str
    roles: Mapping[str, str]
    """Ours by the issuer's."""


@dataclass(frozen=True, slots=True)
class OidcConfig:
    audiences: Mapping[str, frozenset[str]]
    """By issuer: for whom its tokens have to be."""
    skew: timedelta
    sign_in: SignIn | None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Raises OidcConfigError."""
        own, others = settings.oidc_issuer.strip(), _listed(settings.oidc_issuers)
        named = frozenset(_listed(settings.oidc_audience))
        for issuer in (*([own] if own else []), *others):
            _check_issuer(issuer)
        if others and not named:
            raise OidcConfigError("HALLMARK_OIDC_ISSUERS needs HALLMARK_OIDC_AUDIENCE: for whom their tokens are made")
        sign_in = _sign_in(settings, own) if own and settings.oidc_client_id else None
        clients = {sign_in.client_id, sign_in.cli_client_id} if sign_in else set()
        if own and not named | clients:
            raise OidcConfigError("HALLMARK_OIDC_ISSUER needs HALLMARK_OIDC_CLIENT_ID or HALLMARK_OIDC_AUDIENCE")
        audiences = dict.fromkeys(others, named) | ({own: named | clients} if own else {})
        return cls(audiences, timedelta(seconds=settings.oidc_clock_skew), sign_in)


def _sign_in(settings: Settings, issuer: str) -> SignIn:
    return SignIn(
        issuer=issuer, client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret.get_secret_value(),
        cli_client_id=settings.oidc_cli_client_id or settings.oidc_client_id,
        scopes=" ".join(dict.fromkeys(["openid", *settings.oidc_scopes.split()])),
        name=settings.oidc_name or (urlsplit(issuer).hostname or issuer),
        session=timedelta(minutes=settings.session_minutes), roles_claim=settings.oidc_roles_claim,
        roles=_mapping(settings.oidc_roles),
    )  # fmt: skip


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _mapping(text: str) -> dict[str, str]:
    pairs = [part.rpartition("=") for part in _listed(text)]
    if wrong := [role for name, _, role in pairs if not name or not role]:
        raise OidcConfigError(f"HALLMARK_OIDC_ROLES has to be `theirs=ours,…`; {wrong[0]!r} is not")
    found = {name.strip(): role.strip() for name, _, role in pairs}
    if unknown := [role for role in found.values() if not re.fullmatch(ROLE, role)]:
        raise OidcConfigError(f"HALLMARK_OIDC_ROLES names {unknown[0]!r}, which is no role")
    return found


def _check_issuer(issuer: str) -> None:
    if not may_be_called(issuer):
        raise OidcConfigError(f"the issuer {issuer!r} has to be an https address (http on loopback alone)")
