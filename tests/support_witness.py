"""A witness over HTTP for tests: C2SP tlog-witness, with real cosignatures."""

import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from registry_core.proofs.canonical import from_base64, to_base64
from registry_core.proofs.cosignature import COSIGNATURE, cosigned_message
from registry_core.proofs.merkle import ProofError, verify_consistency
from registry_core.proofs.note import key_id_of
from registry_core.witnesses.base import stated

NAME: Final = "witness.example/w"


def witness_vkey(key: Ed25519PrivateKey, name: str = NAME) -> str:
    public = key.public_key()
    key_id = key_id_of(name, COSIGNATURE, public)
    return f"{name}+{key_id.hex()}+{to_base64(COSIGNATURE + public.public_bytes_raw())}"


def cosign(key: Ed25519PrivateKey, name: str, text: str, seconds: int) -> str:
    """The signature line of a cosignature/v1."""
    key_id = key_id_of(name, COSIGNATURE, key.public_key())
    signature = key.sign(cosigned_message(text.encode(), seconds))
    return f"— {name} {to_base64(key_id + seconds.to_bytes(8) + signature)}\n"


class TlogWitness(ThreadingHTTPServer):
    """It keeps the newest checkpoint, checks each proof, and cosigns; it does not ask who signed the checkpoint."""

    size, root, note, away = 0, b"", "", False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[int] = []
        self.key = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
        self.spoil: Callable[[str], str] = lambda line: line
        """What becomes of its answer."""
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/w"

    @property
    def url_with_key(self) -> str:
        return f"{self.url}#{self.vkey}"

    @property
    def vkey(self) -> str:
        return witness_vkey(self.key)

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def add(self, body: str) -> tuple[int, str]:
        head, _, note = body.partition("\n\n")
        first, *proof = head.split("\n")
        old, new = int(first.removeprefix("old ")), stated(note)
        self.asked.append(old)
        if self.away:
            return 503, "away"
        if old != self.size:
            return 409, f"{self.size}\n"
        if old == new.size and self.root != new.root:
            return 409, f"{self.size}\n"
        try:
            verify_consistency(old, new.size, [from_base64(line) for line in proof], self.root or new.root, new.root)
        except ProofError as error:
            if old:
                return 422, str(error)
        self.size, self.root, self.note = new.size, new.root, note
        return 200, self.spoil(cosign(self.key, NAME, note.partition("\n\n")[0] + "\n", int(time.time())))


class _Handler(BaseHTTPRequestHandler):
    server: TlogWitness

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self._answer(*(self.server.add(body) if self.path == "/w/add-checkpoint" else (404, "")))

    def do_GET(self) -> None:
        self._answer(200, self.server.note) if self.server.note else self._answer(404, "")

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Not on the test's standard error."""
