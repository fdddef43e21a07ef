"""safetensors: a length, a JSON header, then the tensors' bytes without a gap (its README, "Format")."""

import json
from math import prod
from typing import Any

from hallmark_scanner.readers.scan import Scan, UnreadableError
from hallmark_scanner.readers.sources import Source

_PREFIX = 8
_RANK = 64
_BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("BOOL", "I8", "U8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}


def looks_like_safetensors(head: bytes, size: int) -> bool:
    """Whether the first nine bytes are a length within the file and the start of a JSON object."""
    return head[_PREFIX : _PREFIX + 1] == b"{" and int.from_bytes(head[:_PREFIX], "little") <= size - _PREFIX


def scan_safetensors(source: Source, scan: Scan) -> str:
    """Check the header only: names, types, shapes, and offsets that cover the rest of the file exactly once."""
    try:
        _check(source, scan.limits.header_bytes)
    except (UnreadableError, ValueError, RecursionError) as problem:
        scan.note("safetensors-malformed", source.name, str(problem))
    return "safetensors"


def _check(source: Source, limit: int) -> None:
    stream = source.open()
    size = int.from_bytes(stream.read(_PREFIX), "little")
    if size > limit or size > source.size - _PREFIX:
        raise _malformed(f"its header of {size} bytes is longer than the file or than {limit} bytes")
    header = json.loads(stream.read(size), object_pairs_hook=_unique_keys)
    if not isinstance(header, dict):
        raise _malformed("its header is not a JSON object")
    _check_metadata(header.pop("__metadata__", {}))
    extents = sorted(_extent(name, tensor) for name, tensor in header.items())
    _check_cover(extents, source.size - _PREFIX - size)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise _malformed("a key stands twice in its header")
    return fields


def _check_metadata(metadata: object) -> None:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _malformed("its __metadata__ is not a map from string to string")


def _extent(name: str, tensor: object) -> tuple[int, int]:
    if not isinstance(tensor, dict) or tensor.keys() != {"dtype", "shape", "data_offsets"}:
        raise _malformed(f"tensor {name!r} has not just dtype, shape and data_offsets")
    bits, shape, offsets = _BITS.get(str(tensor["dtype"])), tensor["shape"], tensor["data_offsets"]
    if bits is None or not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise _malformed(f"tensor {name!r} has an unknown dtype or a bad shape or bad offsets")
    if prod(shape) * bits != (offsets[1] - offsets[0]) * 8:
        raise _malformed(f"tensor {name!r} has another size than its shape and dtype say")
    return offsets[0], offsets[1]


def _are_sizes(values: object) -> bool:
    return (
        isinstance(values, list)
        and len(values) <= _RANK
        and all(type(value) is int and 0 <= value < 2**63 for value in values)
    )


def _check_cover(extents: list[tuple[int, int]], size: int) -> None:
    position = 0
    for start, end in extents:
        if start != position:
            raise _malformed(f"its tensors overlap or leave a gap at byte {min(start, position)} of the data")
        position = end
    if position != size:
        raise _malformed(f"its tensors cover {position} of {size} bytes of data")


def _malformed(message: str) -> UnreadableError:
    return UnreadableError("safetensors-malformed", message)
