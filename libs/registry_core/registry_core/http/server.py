"""Bounds on what a connection may hold up before any route sees it: size and time of headers.

uvicorn's own protocol takes headers of any size, for as long as it takes. Bodies are bounded by `BODY_LIMIT`, and by
`BODY_SECONDS` in `app.py`.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_BYTES: Final = 64 * 1024
HEADER_COUNT: Final = 100
HEADER_SECONDS: Final = 20.0
"""From the connection, or the end of the request before, to the last header. An idle connection is closed earlier."""
MOST_CONNECTIONS: Final = 2000
"""Open at once in one process; a further one is answered with 503. Live subscriptions keep theirs."""


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection whose headers are too large, too many or too slow."""

    _size = _count = 0
    _due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expected()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._due is None and (self.cycle is None or self.cycle.response_complete):
            self._size = 0
            self._expect()
        self._size += len(data)
        super().data_received(data)
        if self._due is not None and self._size > HEADER_BYTES:
            self._refuse("the headers are too large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._size = self._count = 0
        if self._due is None:
            self._expect()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count += 1
        if self._count > HEADER_COUNT or len(name) + len(value) > HEADER_BYTES:
            raise ValueError("too many headers, or one that is too large")  # httptools makes it the client's mistake
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._expected()
        self._size = 0
        super().on_headers_complete()

    def _expect(self) -> None:
        self._due = self.loop.call_later(HEADER_SECONDS, self._refuse, "the headers did not come in time")

    def _expected(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _refuse(self, reason: str) -> None:
        self._expected()
        if not self.transport.is_closing():
            self.send_400_response(reason)
