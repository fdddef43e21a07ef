"""Seekable views of a file, of a part of it and of what a compressed stream holds."""

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

from hallmark_scanner.readers.scan import Scan, UnreadableError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CHUNK = 256 * 1024
_LZMA_MEMORY = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """Something to scan: `name` as shown in findings (`model.pt!data.pkl`), `size` in bytes."""

    name: str
    size: int
    open: Callable[[], BinaryIO]
    """A seekable stream at its first byte. Streams of one file share its position: read one at a time."""

    def head(self, size: int) -> bytes:
        return self.open().read(size)


def file_source(stream: BinaryIO, name: str) -> Source:
    """A seekable file that stays open as long as the source is used."""
    size = stream.seek(0, io.SEEK_END)
    return Source(name, size, lambda: window(stream, 0, size))


def bytes_source(data: bytes, name: str) -> Source:
    return Source(name, len(data), lambda: io.BytesIO(data))


def window(stream: BinaryIO, start: int, size: int) -> BinaryIO:
    """Bytes `start` to `start + size` of a seekable stream, as a buffered stream of its own."""
    return io.BufferedReader(_Window(stream, start, size), _CHUNK)


class _Window(io.RawIOBase):
    def __init__(self, stream: BinaryIO, start: int, size: int) -> None:
        self._stream, self._start, self._size, self._at = stream, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, origin + offset)
        return self._at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        self._stream.seek(self._start + self._at)
        data = self._stream.read(max(0, min(len(view), self._size - self._at)))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _lzma() -> _Decompressor:
    return lzma.LZMADecompressor(memlimit=_LZMA_MEMORY)


COMPRESSIONS: dict[bytes, Callable[[], _Decompressor]] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(31),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\x00": _lzma,
    b"\x5d\x00\x00": _lzma,
    b"\x78\x01": zlib.decompressobj,
    b"\x78\x5e": zlib.decompressobj,
    b"\x78\x9c": zlib.decompressobj,
    b"\x78\xda": zlib.decompressobj,
}
"""The compressors of joblib, by the first bytes (RFC 1950, RFC 1952, bzip2, xz, lzma)."""


def decompressed(stream: BinaryIO, make: Callable[[], _Decompressor], scan: Scan) -> BinaryIO:
    """A forward stream of what is inside, each byte counted against the scan's budget.

    Reading raises UnreadableError on damage, on a bomb and where data follows the compressed stream.
    """
    return io.BufferedReader(_Decompressed(stream, make(), scan), _CHUNK)


class _Decompressed(io.RawIOBase):
    def __init__(self, stream: BinaryIO, inner: _Decompressor, scan: Scan) -> None:
        self._stream, self._inner, self._scan = stream, inner, scan

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view, data = memoryview(buffer), b""
        while not data and not self._inner.eof:
            data = self._step(len(view))
        if not data and (self._inner.unused_data or self._stream.read(1)):
            raise UnreadableError("trailing-bytes", "data follows the compressed stream")
        self._scan.spend(len(data))
        view[: len(data)] = data
        return len(data)

    def _step(self, size: int) -> bytes:
        data = self._more()
        try:
            output = self._inner.decompress(data, size)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
            raise UnreadableError("compressed-unreadable", f"the compressed stream is damaged: {error}") from None
        if not (data or output or self._inner.eof):
            raise UnreadableError("compressed-unreadable", "the compressed stream is cut short")
        return output

    def _more(self) -> bytes:
        """zlib hands back what it did not use; bz2 and lzma keep it and say so."""
        tail: bytes = getattr(self._inner, "unconsumed_tail", b"")
        if tail or not getattr(self._inner, "needs_input", True):
            return tail
        return self._stream.read(_CHUNK)
