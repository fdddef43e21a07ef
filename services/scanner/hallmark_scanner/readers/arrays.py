"""numpy's .npy format, versions 1 to 3 (NEP 1)."""

import ast
from math import prod
from typing import BinaryIO

from hallmark_scanner.readers.dtypes import ItemType, descr_type, is_shape
from hallmark_scanner.readers.pickles import scan_pickle
from hallmark_scanner.readers.scan import Scan, UnreadableError
from hallmark_scanner.readers.sources import Source, window

MAGIC = b"\x93NUMPY"
_HEADER_LIMIT = 64 * 1024
_LENGTH_SIZES = {1: 2, 2: 4, 3: 4}


def scan_npy(source: Source, scan: Scan) -> str:
    """Check that the header accounts for every byte; an array of objects is a pickle and is followed as one."""
    try:
        item, count, start = _header(source.open())
    except UnreadableError as problem:
        scan.note(problem.rule, source.name, str(problem))
        return "npy"
    rest = source.size - start
    if item.holds_objects:
        scan_pickle(lambda: window(source.open(), start, rest), scan, source.name)
    elif rest != item.size * count:
        scan.note("numpy-malformed", source.name, f"holds {rest} bytes of data; its header says {item.size * count}")
    return "npy"


def _header(stream: BinaryIO) -> tuple[ItemType, int, int]:
    """Item type, number of items and where the data starts."""
    version = stream.read(len(MAGIC) + 2)[len(MAGIC) :]
    width = _LENGTH_SIZES.get(version[0]) if len(version) == 2 else None
    if width is None:
        raise UnreadableError("numpy-malformed", f"has the unknown version {version!r}")
    size = int.from_bytes(stream.read(width), "little")
    raw = stream.read(min(size, _HEADER_LIMIT))
    if len(raw) < size:
        raise UnreadableError("numpy-malformed", f"its header of {size} bytes is cut short or too long")
    fields = _literal(raw.decode("utf-8" if version[0] == 3 else "latin-1", "replace"))
    item, shape = descr_type(fields.get("descr")), fields.get("shape")
    if fields.keys() != {"descr", "fortran_order", "shape"} or item is None or not is_shape(shape):
        raise UnreadableError("numpy-malformed", "its header is not what numpy writes")
    return item, prod(shape), len(MAGIC) + 2 + width + size


def _literal(text: str) -> dict[object, object]:
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UnreadableError("numpy-malformed", "its header is not a Python literal")
    return value
