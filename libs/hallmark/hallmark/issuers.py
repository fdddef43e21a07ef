"""An OpenID Connect issuer as the command line meets it: as a public client, without a secret.

By device (RFC 8628) where the issuer offers it, else by a browser on this machine (RFC 8252) with PKCE (RFC 7636).
"""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import httpx
from registry_core.oidc.addresses import challenge_of, may_be_called

from hallmark.errors import HallmarkError
from hallmark.loopback import Loopback

SECONDS: Final = 300.0
"""For a person to sign in, where the issuer does not say."""
_LARGEST: Final = 512 * 1024
_DEVICE: Final = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True, slots=True)
class Issuer:
    """Where to sign in, and as which client."""

    issuer: str
    client_id: str
    scopes: str
    authorization: str
    token: str
    device: str
    """Empty where the issuer has no such way."""

    @classmethod
    def discover(cls, at: Mapping[str, Any]) -> "Issuer":
        """From what Hallmark says about where people sign in. Raises HallmarkError."""
        issuer = str(at["issuer"])
        if not may_be_called(issuer):
            raise _failed(f"the issuer {issuer[:200]!r} is no https address")
        _, found = _ask("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != issuer:
            raise _failed(f"the discovery document of {issuer} is another issuer's")
        names = ("authorization_endpoint", "token_endpoint", "device_authorization_endpoint")
        return cls(issuer, str(at["client_id"]), str(at["scopes"]), *(_place(issuer, found, name) for name in names))


def _place(issuer: str, document: Mapping[str, Any], name: str) -> str:
    url = document.get(name) or ""
    if url and not (isinstance(url, str) and may_be_called(url, issuer)):
        raise _failed(f"the issuer's {name} is no https address")
    return str(url)


@dataclass(frozen=True, slots=True)
class Passing:
    """How time passes; tests bring their own."""

    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


def by_device(at: Issuer, tell: Callable[[str, str], object], passing: Passing | None = None) -> str:
    """An ID token, once the person has entered a code on any device. `tell` gets the address and the code.

    Raises HallmarkError.
    """
    _, asked = _ask("POST", at.device, {"client_id": at.client_id, "scope": at.scopes})
    if not isinstance(asked.get("device_code"), str) or not isinstance(asked.get("user_code"), str):
        raise _failed(_told(asked))
    tell(str(asked.get("verification_uri_complete") or asked.get("verification_uri")), asked["user_code"])
    form = {"grant_type": _DEVICE, "device_code": asked["device_code"], "client_id": at.client_id}
    return _polled(at, form, _number(asked, "interval", 5), _number(asked, "expires_in", SECONDS), passing or Passing())


def _polled(at: Issuer, form: Mapping[str, str], pause: float, seconds: float, passing: Passing) -> str:
    until = passing.clock() + seconds
    while passing.clock() < until:
        passing.sleep(pause)
        status, answer = _ask("POST", at.token, form)
        if answer.get("error") == "slow_down":
            pause += 5  # RFC 8628, section 3.5
        elif answer.get("error") != "authorization_pending":
            return _id_token(status, answer)
    raise _failed("nobody signed in in time")


def by_browser(at: Issuer, open_address: Callable[[str], object]) -> str:
    """An ID token, once the person has signed in in a browser on this machine. Raises HallmarkError."""
    if not at.authorization or not at.token:
        raise _failed("the issuer offers no sign-in that a command line can use")
    state, nonce, verifier = (secrets.token_urlsafe(48) for _ in range(3))
    with Loopback() as loopback:
        query = {
            "response_type": "code", "client_id": at.client_id, "redirect_uri": loopback.address, "scope": at.scopes,
            "state": state, "nonce": nonce, "code_challenge": challenge_of(verifier), "code_challenge_method": "S256",
        }  # fmt: skip
        open_address(f"{at.authorization}{'&' if '?' in at.authorization else '?'}{urlencode(query)}")
        answer = loopback.wait(state, SECONDS)
        if answer is None:
            raise _failed("nobody signed in in time")
        if answer.get("iss", at.issuer) != at.issuer:
            raise _failed("the answer is not from the issuer that was asked")
        if "code" not in answer:
            raise _failed(_told(answer))
        form = {
            "grant_type": "authorization_code", "code": answer["code"], "redirect_uri": loopback.address,
            "code_verifier": verifier, "client_id": at.client_id,
        }  # fmt: skip
        return _id_token(*_ask("POST", at.token, form))


def _id_token(status: int, answer: Mapping[str, Any]) -> str:
    token = answer.get("id_token")
    if status != httpx.codes.OK or not isinstance(token, str):
        raise _failed(_told(answer) if status != httpx.codes.OK else "the issuer sent no ID token")
    return token


def _ask(method: str, url: str, form: Mapping[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    """Bounded in time and size, and never redirected."""
    try:
        with httpx.Client(timeout=10, follow_redirects=False) as http, http.stream(method, url, data=form) as answer:
            body = bytearray()
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > _LARGEST:
                    raise _failed(f"{url} answers with more than {_LARGEST} bytes")
        found = json.loads(body)
    except httpx.HTTPError as error:
        raise _failed(f"{url} does not answer: {error!r}") from error
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _failed(f"{url} answered with what is no JSON object")
    return answer.status_code, found


def _number(document: Mapping[str, Any], name: str, default: float) -> float:
    value = document.get(name)
    return float(value) if isinstance(value, int | float) and 0 < value < 3600 else default


def _told(answer: Mapping[str, Any]) -> str:
    error, description = str(answer.get("error", "nothing"))[:100], str(answer.get("error_description", ""))[:300]
    return f"the issuer says {error} {description}".strip()


def _failed(detail: str) -> HallmarkError:
    return HallmarkError("Not signed in", detail, fix="try again, or use a token: hallmark login")
