"""An issuer of our own, over real HTTP: it rotates, lies, drips, dies and leads astray, as no decent one does."""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from registry_core.events import Event, NewEvent, Origin
from registry_core.events.governance import AccountCreated, RolesChanged
from registry_core.identity import Account
from registry_core.oidc.linking import Linking, Subject
from registry_core.service import Platform

Key = RSAKey | ECKey | OKPKey
AUDIENCE = "hallmark"


def rsa_key(kid: str, bits: int = 2048) -> RSAKey:
    return RSAKey.generate_key(bits, {"kid": kid, "use": "sig"})


@dataclass
class Issuing:
    """What it says can be changed while it answers."""

    url: str
    keys: list[Key]
    document: dict[str, Any] = field(default_factory=dict)
    """Over what discovery says."""
    jwks: bytes | None = None
    """In place of its keys."""
    redirect_to: str = ""
    drips: bool = False
    subject: str = "dana-4711"
    """Who is signed in at the issuer."""
    answer: dict[str, str] = field(default_factory=dict)
    """Over what it sends back from signing in."""
    id_claims: dict[str, Any] = field(default_factory=dict)
    """Over the claims of its ID tokens."""
    device_answers: list[str] = field(default_factory=list)
    """What a device that asks for its token is told, before it gets it."""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    """What each code was asked for with; a code is good once."""
    calls: list[str] = field(default_factory=list)

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.url, "jwks_uri": f"{self.url}/jwks", "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token", "id_token_signing_alg_values_supported": ["RS256", "ES256", "PS256"],
            **self.document,
        }  # fmt: skip

    def key_set(self) -> bytes:
        return self.jwks or json.dumps({"keys": [key.as_dict(private=False) for key in self.keys]}).encode()

    def claims(self, at: float, **more: Any) -> dict[str, Any]:
        made = {"iss": self.url, "sub": "dana-4711", "aud": AUDIENCE, "iat": int(at), "exp": int(at) + 300, **more}
        return {name: value for name, value in made.items() if value is not None}

    def token(self, at: float, key: Key | None = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        signing = key or self.keys[0]
        headers = {"alg": "RS256", "kid": signing.kid, **(header or {})}
        headers = {name: value for name, value in headers.items() if value is not None}
        return jwt.encode(headers, self.claims(at, **claims), signing, algorithms=[headers["alg"]])


class _Handler(BaseHTTPRequestHandler):
    issuer: Issuing

    def do_GET(self) -> None:
        issuer = self.issuer
        issuer.calls.append(self.path)
        where = urlsplit(self.path)
        if where.path == "/authorize":
            self._authorize(dict(parse_qsl(where.query)))
            return
        if issuer.redirect_to:
            self.send_response(302)
            self.send_header("location", issuer.redirect_to)
            self.end_headers()
            return
        found = json.dumps(issuer.discovery()).encode() if self.path.startswith("/.well-known") else issuer.key_set()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(found)))
        self.end_headers()
        self._send(found)

    def _authorize(self, asked: dict[str, str]) -> None:
        """Back to the client at once."""
        code = secrets.token_hex(8)
        self.issuer.codes[code] = asked
        answer = {"code": code, "state": asked["state"], **self.issuer.answer}
        self.send_response(302)
        self.send_header("location", f"{asked['redirect_uri']}?{urlencode(answer)}")
        self.end_headers()

    def do_POST(self) -> None:
        form = dict(parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
        by_device = self.path == "/device" or "device_code" in form
        status, found = self._device(form) if by_device else self._token(form)
        body = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _device(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Where a device asks for codes, and then, as often as it takes a person, for the token."""
        issuer = self.issuer
        if self.path == "/device":
            codes = {"device_code": "d" * 40, "user_code": "WDJB-MJHT", "verification_uri": f"{issuer.url}/enter"}
            return 200, {**codes, "expires_in": 600, "interval": 2}
        if issuer.device_answers:
            return 400, {"error": issuer.device_answers.pop(0)}
        token = issuer.token(time.time(), aud=form["client_id"], sub=issuer.subject, **issuer.id_claims)
        return 200, {"access_token": "opaque", "token_type": "Bearer", "id_token": token}

    def _token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        asked = self.issuer.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        basic = base64.b64decode(self.headers.get("authorization", "").removeprefix("Basic ")).decode()
        client = basic.partition(":")[0] or form.get("client_id")
        if asked is None or (asked["code_challenge"], asked["code_challenge_method"]) != (challenge, "S256"):
            return 400, {"error": "invalid_grant"}
        if asked["redirect_uri"] != form["redirect_uri"] or asked["client_id"] != client:
            return 400, {"error": "invalid_grant", "error_description": "another client or redirect URI"}
        claims = {"aud": client, "nonce": asked["nonce"], "sub": self.issuer.subject, **self.issuer.id_claims}
        return 200, {
            "access_token": "opaque",
            "token_type": "Bearer",
            "id_token": self.issuer.token(time.time(), **claims),
        }

    def _send(self, body: bytes) -> None:
        if not self.issuer.drips:
            self.wfile.write(body)
            return
        for byte in body:
            try:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
            except OSError:
                return
            time.sleep(0.2)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
        """Silence."""


@contextmanager
def issuing(*keys: Key, port: int = 0) -> Iterator[Issuing]:
    """An issuer on a free port of loopback."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    issuer = Issuing(f"http://127.0.0.1:{server.server_address[1]}", list(keys) or [rsa_key("k1")])
    handler.issuer = issuer  # type: ignore[attr-defined]  # made just above
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def linked(platform: Platform, account: str, who: Subject, *roles: str) -> str:
    """A new account, named for its own person, and somebody at an issuer who signs in as it; the login."""

    def made(events: Sequence[Event]) -> list[NewEvent]:
        origin = Origin(actor="root", occurred_at=platform.clock(), correlation_id=uuid4())
        return [NewEvent(id=uuid4(), data=event, origin=origin) for event in events]

    async with Linking.begin(platform) as linking:
        person = await platform.vault.identify(linking.connection, account, account)
        created = AccountCreated(
            account=account,
            kind="human",
            person=person.pseudonym,
            name=person.seal(account),
            display_name=person.seal(account),
        )
        given = RolesChanged(account=account, roles=roles)
        done = await linking.append(Account(account=account), person, who, made, created, given)
    assert done
    platform.store.on_append()
    return done.login
