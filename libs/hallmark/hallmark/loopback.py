"""Where a browser on this machine brings an issuer's answer to: a port of loopback, for one answer (RFC 8252)."""

import hmac
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlsplit

_PATH: Final = "/callback"
_DONE: Final = b"<!doctype html><title>Hallmark</title><p>You can close this window, and go on in the terminal."


class Loopback:
    """Listens until it is left."""

    def __init__(self) -> None:
        self._answers: list[dict[str, str]] = []
        self._came = threading.Event()
        self._state = ""
        self._server = HTTPServer(("127.0.0.1", 0), self._handler())
        self.address: Final = f"http://127.0.0.1:{self._server.server_port}{_PATH}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def wait(self, state: str, seconds: float) -> dict[str, str] | None:
        """The answer to this very request, its parameters; others are not looked at. None where none came in time."""
        self._state = state
        self._thread.start()
        return self._answers[0] if self._came.wait(seconds) else None

    def _take(self, path: str) -> bool:
        where = urlsplit(path)
        answer = dict(parse_qsl(where.query))
        ours = hmac.compare_digest(answer.get("state", "").encode(), self._state.encode())
        if where.path != _PATH or not ours:
            return False
        self._answers.append(answer)
        self._came.set()
        return True

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                taken = take(self.path)
                self.send_response(200 if taken else 404)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.send_header("connection", "close")
                self.end_headers()
                self.wfile.write(_DONE if taken else b"")

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
                """Codes do not belong on a terminal."""

        return Handler
