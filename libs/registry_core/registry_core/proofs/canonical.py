"""The one byte form of what is hashed: canonical JSON and strict base64.

Canonical JSON here is RFC 8785 without floating-point numbers: keys in code-point order, no spaces, UTF-8, only `"`,
`\\` and control characters escaped. (RFC 8785 sorts by UTF-16 units, which is the same for every key of ours.)
"""

import base64
import json
from typing import Any, NoReturn


def _refuse_float(text: str) -> NoReturn:
    raise ValueError(f"the number {text[:40]} is not an integer")


_DECODER = json.JSONDecoder(parse_float=_refuse_float, parse_constant=_refuse_float)
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical_json(value: Any) -> bytes:
    """Objects, arrays, text, integers, booleans and null as canonical bytes. Raises ValueError, TypeError."""
    try:
        return _ENCODER.encode(value).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse_json(data: bytes) -> Any:
    """Any JSON without floats; whether it is canonical is told by encoding it again. Raises ValueError."""
    try:
        return _DECODER.decode(data.decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None


def take(fields: dict[str, Any], name: str, kind: type[Any]) -> Any:
    """A required member of exactly this type (True is no int). Raises ValueError that names it."""
    value = fields.get(name)
    if type(value) is not kind:
        raise ValueError(f"{name!r} is {'missing' if value is None else f'not of type {kind.__name__}'}")
    return value


def take_count(fields: dict[str, Any], name: str) -> int:
    """A required integer from 0 to 2^53 - 1, what every JSON reader keeps exactly (RFC 8785, 3.2.2.3)."""
    value: int = take(fields, name, int)
    if not 0 <= value < 2**53:
        raise ValueError(f"{name!r} is not between 0 and 2^53 - 1")
    return value


def to_base64(data: bytes) -> str:
    """RFC 4648, section 4, padded."""
    return base64.b64encode(data).decode()


def decode_base64(text: str) -> bytes:
    """As `from_base64`, but leaves it to the caller to compare the spelling."""
    return base64.b64decode(text, validate=True)


def from_base64(text: str) -> bytes:
    """The inverse of `to_base64`; any other spelling of the same bytes raises ValueError."""
    data = decode_base64(text)
    if to_base64(data) != text:
        raise ValueError("not the canonical base64 of its bytes")
    return data
