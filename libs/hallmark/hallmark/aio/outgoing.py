"""A file on its way to the server, sent from whatever byte it asks for."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import anyio.to_thread

from hallmark.meter import Meter, Progress

_CHUNK: Final = 1024 * 1024


class Outgoing:
    """Where an upload is, and what is still to be sent."""

    def __init__(self, path: Path, size: int, progress: Progress | None) -> None:
        self._path, self.size, self._meter = path, size, Meter(progress)
        self.offset = 0
        """Bytes that the server said it keeps."""

    def at(self, offset: int) -> None:
        """The server keeps this many bytes: more than were counted, after an earlier process, or fewer."""
        self.offset = offset
        self._meter.at(offset)

    def whole(self) -> AsyncIterator[bytes]:
        """The file from its beginning: another attempt takes back what the one before counted."""
        self.at(0)
        return self.rest()

    async def rest(self) -> AsyncIterator[bytes]:
        """The file from `offset` on."""
        sent = self.offset
        with self._path.open("rb") as file:
            file.seek(sent)
            while chunk := await anyio.to_thread.run_sync(file.read, _CHUNK):
                yield chunk
                sent += len(chunk)
                self._meter.at(sent)
