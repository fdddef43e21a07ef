"""The authorization code flow with PKCE, from the way out to the ID token.

OpenID Connect Core 1.0, section 3.1; RFC 7636 (S256 alone); RFC 9207; RFC 9700.
"""

import base64
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final
from urllib.parse import quote, urlencode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from registry_core.oidc.addresses import challenge_of
from registry_core.oidc.claims import ClaimsError, check_sign_in
from registry_core.oidc.config import SignIn
from registry_core.oidc.issuer import Metadata
from registry_core.oidc.outgoing import OutgoingError, post_form
from registry_core.oidc.verifier import Identity, Verifier

SECONDS: Final = 600
"""From the way out to the return."""
_NONCE: Final = 12


class SignInError(Exception):
    """Why nobody is signed in now, for the person who tried."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A sign-in that began in this browser, and what its answer has to match."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str
    next: str
    until: float
    """Seconds since 1970."""

    @classmethod
    def begin(cls, redirect_uri: str, next_path: str, now: float) -> "Pending":
        state, nonce, verifier = (secrets.token_urlsafe(48) for _ in range(3))
        return cls(state, nonce, verifier, redirect_uri, next_path, now + SECONDS)

    def sealed(self, key: bytes) -> str:
        """For the browser to keep: it can neither read nor change it. AES-256-GCM."""
        nonce = os.urandom(_NONCE)
        hidden = AESGCM(key).encrypt(nonce, json.dumps(asdict(self)).encode(), None)
        return base64.urlsafe_b64encode(nonce + hidden).decode()

    @classmethod
    def opened(cls, text: str, key: bytes, now: float) -> "Pending":
        """Raises SignInError for none, another key's, or one that is too old."""
        try:
            raw = base64.urlsafe_b64decode(text)
            found = cls(**json.loads(AESGCM(key).decrypt(raw[:_NONCE], raw[_NONCE:], None)))
        except (ValueError, TypeError, InvalidTag):
            raise SignInError("this sign-in did not begin in this browser, or its cookie is gone") from None
        if now >= found.until:
            raise SignInError(f"this sign-in began more than {SECONDS // 60} minutes ago")
        return found


def authorization(sign_in: SignIn, metadata: Metadata, pending: Pending) -> str:
    """Where the browser goes. Raises SignInError where the issuer has no place for it."""
    if not metadata.authorization_endpoint or not metadata.token_endpoint:
        raise SignInError(f"{sign_in.name} offers no sign-in by authorization code")
    query = {
        "response_type": "code", "client_id": sign_in.client_id, "redirect_uri": pending.redirect_uri,
        "scope": sign_in.scopes, "state": pending.state, "nonce": pending.nonce,
        "code_challenge": challenge_of(pending.verifier), "code_challenge_method": "S256",
    }  # fmt: skip
    joint = "&" if "?" in metadata.authorization_endpoint else "?"
    return f"{metadata.authorization_endpoint}{joint}{urlencode(query)}"


def code_of(answer: Mapping[str, str], pending: Pending, metadata: Metadata) -> str:
    """The code, if the answer belongs to this sign-in and this issuer. Raises SignInError."""
    if not hmac.compare_digest(answer.get("state", "").encode(), pending.state.encode()):
        raise SignInError("the answer belongs to another sign-in (`state`)")
    if answer.get("iss", metadata.issuer) != metadata.issuer or (metadata.names_itself and "iss" not in answer):
        raise SignInError("the answer is not from the issuer that was asked (`iss`)")
    if error := answer.get("error"):
        told = answer.get("error_description", "")
        raise SignInError(f"the issuer says {error[:100]}" + (f": {told[:300]}" if told else ""))
    if not answer.get("code"):
        raise SignInError("the answer holds no code")
    return answer["code"]


async def identity_for(
    code: str, sign_in: SignIn, metadata: Metadata, pending: Pending, verifier: Verifier
) -> Identity:
    """Exchange the code for an ID token, and verify it. Raises SignInError, and Problem as the verifier does."""
    form = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": pending.redirect_uri,
        "code_verifier": pending.verifier,
    }  # fmt: skip
    client, basic = _authentication(sign_in, metadata)
    try:
        status, answer = await post_form(metadata.token_endpoint, form | client, basic)
    except OutgoingError as error:
        raise SignInError(str(error)) from error
    token = answer.get("id_token")
    if status != 200 or not isinstance(token, str):
        told = answer.get("error_description") or answer.get("error") or "it sent no ID token"
        raise SignInError(f"the issuer did not take the code ({status}): {str(told)[:300]}")
    identity = await verifier.verify(token, {sign_in.client_id})
    try:
        check_sign_in(identity.claims, sign_in.client_id, pending.nonce)
    except ClaimsError as error:
        raise SignInError(f"the ID token is not accepted: {error}") from error
    if identity.issuer != metadata.issuer:
        raise SignInError("the ID token is another issuer's")
    return identity


def _authentication(sign_in: SignIn, metadata: Metadata) -> tuple[dict[str, str], tuple[str, str] | None]:
    """RFC 6749, section 2.3.1: by HTTP Basic with both parts form-encoded, else in the form."""
    if not sign_in.client_secret:
        return {"client_id": sign_in.client_id}, None
    if metadata.basic:
        return {}, (quote(sign_in.client_id, safe=""), quote(sign_in.client_secret, safe=""))
    return {"client_id": sign_in.client_id, "client_secret": sign_in.client_secret}, None


def sign_out_address(sign_in: SignIn, metadata: Metadata, back: str) -> str | None:
    """Where to sign out at the issuer, too; None where it has no such place. OpenID Connect RP-Initiated Logout 1.0."""
    if not metadata.end_session_endpoint:
        return None
    joint = "&" if "?" in metadata.end_session_endpoint else "?"
    query = urlencode({"client_id": sign_in.client_id, "post_logout_redirect_uri": back})
    return f"{metadata.end_session_endpoint}{joint}{query}"
