"""A file on its way to the server, sent from whatever byte it asks for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hallmark.session import Progress

_CHUNK: Final = 1024 * 1024


class Outgoing:
    """Where an upload is, and what is still to be sent."""

    def __init__(self, path: Path, size: int, progress: Progress | None) -> None:
        self._path, self.size, self._progress = path, size, progress or (lambda _: None)
        self.offset = 0
        """Bytes that the server said it keeps."""
        self._counted = 0

    def at(self, offset: int) -> None:
        """The server keeps this many bytes: more than were counted, after an earlier process, or fewer."""
        self.offset = offset
        self._count(offset - self._counted)

    def _count(self, moved: int) -> None:
        self._counted += moved
        self._progress(moved)

    def rest(self) -> Iterator[bytes]:
        """The file from `offset` on."""
        with self._path.open("rb") as file:
            file.seek(self.offset)
            while chunk := file.read(_CHUNK):
                yield chunk
                self._count(len(chunk))
