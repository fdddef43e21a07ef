"""An issuer of our own, over real HTTP: it rotates, lies, drips, dies and leads astray, as no decent one does."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwk, jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

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


__all__ = ["AUDIENCE", "Issuing", "issuing", "jwk", "rsa_key"]
