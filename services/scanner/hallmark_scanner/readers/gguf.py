"""GGUF versions 2 and 3: metadata, tensor table, aligned tensor data (ggml, docs/gguf.md)."""

import struct
from math import prod
from typing import BinaryIO

from hallmark_scanner.readers.scan import Scan, UnreadableError
from hallmark_scanner.readers.sources import Source
from hallmark_scanner.readers.templates import reaches_out

MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_ALIGNMENT = 32
_MAX_DIMENSIONS = 4
_FIXED = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_STRING_LIMIT = 16 * 1024 * 1024
# ggml type: (elements in a block, bytes of a block), from ggml's type traits.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 30: (1, 2),
}  # fmt: skip


def scan_gguf(source: Source, scan: Scan) -> str:
    """Read metadata and tensor table; the tensors must lie within the file and cover it to its end."""
    try:
        _check(_Reader(source.open(), scan.limits.header_bytes), source, scan)
    except (UnreadableError, UnicodeDecodeError) as problem:
        scan.note("gguf-not-understood", source.name, str(problem))
    return "gguf"


class _Reader:
    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._stream, self._left, self.position = stream, limit, 0

    def take(self, size: int) -> bytes:
        self._left -= size
        data = self._stream.read(size) if self._left >= 0 else b""
        if len(data) < size:
            raise _strange("its header is cut short or too long")
        self.position += size
        return data

    def number(self, code: str) -> int:
        return int(struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0])

    def text(self) -> str:
        size = self.number("Q")
        if size > _STRING_LIMIT:
            raise _strange(f"a string of {size} bytes stands in its header")
        return self.take(size).decode("utf-8")


def _check(reader: _Reader, source: Source, scan: Scan) -> None:
    reader.take(len(MAGIC))
    version, tensors, pairs = reader.number("I"), reader.number("Q"), reader.number("Q")
    if version not in _VERSIONS:
        raise _strange(f"version {version} is unknown")
    alignment = _ALIGNMENT
    for _ in range(pairs):
        key, value = reader.text(), _value(reader, reader.number("I"))
        if key == "general.alignment" and isinstance(value, int) and 0 < value <= 1 << 20:
            alignment = value
        if "chat_template" in key and isinstance(value, str) and reaches_out(value):
            scan.note("gguf-template-code", source.name, f"{key} reaches for Python internals")
    extents = sorted(_tensor(reader) for _ in range(tensors))
    start = -(-reader.position // alignment) * alignment if tensors else reader.position
    _check_cover(extents, alignment, source.size - start)


def _value(reader: _Reader, kind: int) -> int | str | None:
    if kind in _FIXED:
        size = struct.calcsize(f"<{_FIXED[kind]}")
        return int.from_bytes(reader.take(size), "little")
    if kind == _STRING:
        return reader.text()
    if kind != _ARRAY:
        raise _strange(f"metadata type {kind} is unknown")
    _array(reader, reader.number("I"), reader.number("Q"))
    return None


def _array(reader: _Reader, kind: int, count: int) -> None:
    if kind in _FIXED:
        reader.take(struct.calcsize(f"<{_FIXED[kind]}") * count)
    elif kind == _STRING:
        for _ in range(count):
            reader.take(reader.number("Q"))
    else:
        raise _strange(f"an array of metadata type {kind} is not understood")


def _tensor(reader: _Reader) -> tuple[int, int]:
    name, rank = reader.text(), reader.number("I")
    if rank > _MAX_DIMENSIONS:
        raise _strange(f"tensor {name!r} has {rank} dimensions")
    shape = [reader.number("Q") for _ in range(rank)]
    block = _BLOCKS.get(reader.number("I"))
    offset = reader.number("Q")
    if block is None or prod(shape) % block[0]:
        raise _strange(f"tensor {name!r} has an unknown type or a shape that does not fit it")
    return offset, offset + prod(shape) // block[0] * block[1]


def _check_cover(extents: list[tuple[int, int]], alignment: int, size: int) -> None:
    position = 0
    for start, end in extents:
        if not position <= start < position + alignment:
            raise _strange(f"its tensors overlap or leave a gap at byte {position} of the data")
        position = end
    if not position <= size < position + alignment:
        raise _strange(f"its tensors cover {position} of {size} bytes of data")


def _strange(message: str) -> UnreadableError:
    return UnreadableError("gguf-not-understood", message)
