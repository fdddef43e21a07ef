"""Pickle opcodes with their raw operands, from `pickletools`' own table.

`pickletools.genops` itself decodes some operands otherwise than the unpickler does (escapes in GLOBAL, leading zeros in
INT) and reads any length into memory, so only its table and operand layouts are used.
"""

import pickletools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from hallmark_scanner.readers.scan import UnreadableError

KEPT = 64 * 1024
"""Longer operands are passed over: no name, dtype or shape is that long."""
_LINE = 16 * 1024 * 1024
_CHUNK = 1024 * 1024
_BY_CODE = {info.code.encode("latin-1"): info for info in pickletools.opcodes}
_TWO_LINES = frozenset({"GLOBAL", "INST"})
_PREFIX_SIZES = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}


@dataclass(frozen=True, slots=True)
class Opcode:
    name: str
    operand: bytes | None
    """None where it was longer than KEPT; two lines are joined by a newline."""
    position: int


class Reader:
    """A forward stream that counts what was read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.position = 0

    def some(self, size: int) -> bytes:
        """Up to `size` bytes; fewer only at the end."""
        data = self._stream.read(size)
        self.position += len(data)
        return data

    def exactly(self, size: int) -> bytes:
        data = self.some(size)
        if len(data) < size:
            raise UnreadableError("pickle-unreadable", f"ends in the middle of an operand at byte {self.position}")
        return data

    def skip(self, size: int) -> None:
        while size > 0:
            size -= len(self.exactly(min(size, _CHUNK)))

    def line(self) -> bytes:
        data = self._stream.readline(_LINE)
        self.position += len(data)
        if not data.endswith(b"\n"):
            raise UnreadableError("pickle-unreadable", f"a line has no end at byte {self.position}")
        return data[:-1]


def read_opcodes(reader: Reader) -> Iterator[Opcode]:
    """Opcodes up to the end of the file, over any number of pickles. Raises UnreadableError at what is none."""
    while code := reader.some(1):
        info = _BY_CODE.get(code)
        if info is None:
            raise UnreadableError("pickle-unreadable", f"byte {code!r} at {reader.position - 1} is no pickle opcode")
        position = reader.position - 1
        yield Opcode(info.name, _operand(reader, info), position)


def _operand(reader: Reader, info: pickletools.OpcodeInfo) -> bytes | None:
    if info.arg is None:
        return b""
    if info.arg.n >= 0:
        return reader.exactly(info.arg.n)
    if info.arg.n == pickletools.UP_TO_NEWLINE:
        first = reader.line()
        return first + b"\n" + reader.line() if info.name in _TWO_LINES else first
    return _counted(reader, info.arg.n, info.name)


def _counted(reader: Reader, kind: int, name: str) -> bytes | None:
    prefix = reader.exactly(_PREFIX_SIZES[kind])
    size = int.from_bytes(prefix, "little", signed=kind == pickletools.TAKEN_FROM_ARGUMENT4)
    if size < 0:
        raise UnreadableError("pickle-unreadable", f"{name} at byte {reader.position} has a negative length")
    if size <= KEPT:
        return reader.exactly(size)
    reader.skip(size)
    return None
