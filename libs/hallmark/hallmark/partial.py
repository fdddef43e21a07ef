"""A file that is coming in: resumed where it broke off, hashed while it flows, in its place whole or not at all."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from registry_core.values import File

from hallmark.errors import HallmarkError

try:
    import fcntl
except ImportError:  # Windows: two downloads of one file at once are not kept apart there
    fcntl = None  # type: ignore[assignment]

_CHUNK: Final = 4 * 1024 * 1024


class Partial:
    """What has come of a file, beside where it belongs, under a name that no version's file can have.

    The name holds the digest: the beginning of other content is never gone on with. Used as a context; leaving it
    keeps what has come, for the next time, unless that cannot be the beginning of the file.
    """

    def __init__(self, target: Path, file: File) -> None:
        self._target, self._file = target, file
        self._path = target.with_name(f".{file.digest.removeprefix('sha256:')[:32]}.part")
        self.moved = 0
        """Bytes that came over the network, all attempts together."""
        self._hash, self.position = hashlib.sha256(), 0

    def __enter__(self) -> Self:
        """Raises HallmarkError where another download is at it; OSError."""
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        self._stream = os.fdopen(os.open(self._path, flags, 0o666), "r+b")
        try:
            self._lock()
        except BaseException:
            self._stream.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with suppress(OSError):  # what cannot be written is asked for again the next time
            self._stream.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise HallmarkError(
                "Cannot write", f"{self._path}: {error.strerror}",
                fix="make room there, and download again: it goes on where it was",
            ) from error  # fmt: skip

    def _lock(self) -> None:
        if fcntl:
            try:
                fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise HallmarkError(
                    "Busy", f"another download of {self._file.name} into {self._target.parent} runs",
                    fix="wait for it, or choose another folder",
                ) from error  # fmt: skip

    def take_up(self) -> None:
        """Read, once, what an earlier download left."""
        while chunk := self._stream.read(_CHUNK):
            self._count(chunk)
        if self._file.size is not None and self.position > self._file.size:
            self.restart()

    def _count(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self.position += len(chunk)

    @property
    def complete(self) -> bool:
        """Whether there is nothing left to ask for."""
        return self._found == self._file.digest

    @property
    def _found(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    @property
    def headers(self) -> dict[str, str]:
        """Of the request for what is missing (RFC 9110, section 14); bytes as they are, not compressed on the way."""
        whole = {"Accept-Encoding": "identity"}
        if not self.position:
            return whole
        return whole | {"Range": f"bytes={self.position}-", "If-Range": f'"{self._file.digest}"'}

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Look what the answer holds: the rest, or everything again."""
        rest = headers.get("content-range", "").startswith(f"bytes {self.position}-")
        if not (status == 206 and rest):
            self.restart()
        if status == 206 and not rest:
            raise HallmarkError(
                "Unreadable answer", "the server sent another part of the file than was asked for",
                fix="see that the URL is Hallmark's",
            )  # fmt: skip

    def restart(self) -> None:
        """Forget what has come."""
        self._hash, self.position = hashlib.sha256(), 0
        self._stream.seek(0)
        self._stream.truncate()

    def write(self, chunk: bytes) -> None:
        """Raises HallmarkError as soon as there is more than the file has, or no room for it."""
        with self._writing():
            self._stream.write(chunk)
        self._count(chunk)
        self.moved += len(chunk)
        if self._file.size is not None and self.position > self._file.size:
            self._discard(f"more than its {self._file.size} bytes")

    def finish(self) -> None:
        """Put the file in its place. Raises HallmarkError where it is not what was registered; then nothing stays."""
        if not self.complete:
            self._discard(f"{self._found} instead of {self._file.digest}")
        with self._writing():
            self._stream.flush()
        self._path.replace(self._target)

    def _discard(self, received: str) -> None:
        self.restart()
        with suppress(OSError):
            self._path.unlink()
        raise HallmarkError(
            "Wrong content", f"what came for {self._file.name} has {received}; nothing of it was kept",
            fix="download it again; if this stays, the artifact store or a proxy changes files: tell its operator",
        )  # fmt: skip


def has_content(path: Path, file: File) -> bool:
    """Whether the file at a path is what was registered."""
    if not path.is_file() or file.size not in (None, path.stat().st_size):
        return False
    with path.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}" == file.digest


def place(folder: Path, name: str) -> Path:
    """Where a version's file goes. Raises HallmarkError for a name, or a link in the folder, that leads out of it."""
    target = folder / name
    if not target.parent.resolve().is_relative_to(folder.resolve()) or target.is_symlink():
        raise HallmarkError(
            "Unsafe name", f"{name} leads out of {folder}", fix="choose an empty folder; see that the URL is Hallmark's"
        )
    return target
