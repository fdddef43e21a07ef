"""What numpy makes of a dtype or an .npy header, as far as it tells where the array's bytes end."""

import re
from dataclasses import dataclass
from math import prod
from typing import TypeGuard

from hallmark_scanner.readers.symbols import Global, Instance, Mapping, Value

_SIMPLE = re.compile(r"(?:[<>|=]?)(?:(?P<kind>[biufcSUVmM])(?P<size>\d{1,9})(?:\[[^\]]{1,16}\])?|(?P<object>O8?))")
_SIZES = {"b": {1}, "i": {1, 2, 4, 8}, "u": {1, 2, 4, 8}, "f": {2, 4, 8, 16}, "c": {8, 16, 32}, "m": {8}, "M": {8}}
_HAS_OBJECT = 0x01
"""`NPY_ITEM_HASOBJECT`, numpy/ndarraytypes.h."""


@dataclass(frozen=True, slots=True)
class ItemType:
    """`size` in bytes; an array of objects has a pickle in place of bytes."""

    size: int
    holds_objects: bool = False


def simple_type(spelling: str) -> ItemType | None:
    """`f8`, `<U5`, `|O`, …: an array-protocol type string; None where this is none."""
    match = _SIMPLE.fullmatch(spelling)
    if match is None:
        return None
    if match["object"]:
        return ItemType(8, holds_objects=True)
    size = int(match["size"])
    if size == 0 or size not in _SIZES.get(match["kind"], {size}):
        return None
    return ItemType(size * 4 if match["kind"] == "U" else size)


def descr_type(descr: object, depth: int = 0) -> ItemType | None:
    """The `descr` of an .npy header: a type string, or a list of (name, descr[, shape]) (NEP 1)."""
    if isinstance(descr, str):
        return simple_type(descr)
    if not isinstance(descr, list) or depth > 8:
        return None
    fields = [_descr_field(field, depth) for field in descr]
    known = [field for field in fields if field is not None]
    if len(known) < len(fields):
        return None
    return ItemType(sum(field.size for field in known), any(field.holds_objects for field in known))


def _descr_field(field: object, depth: int) -> ItemType | None:
    if not isinstance(field, tuple) or len(field) not in (2, 3):
        return None
    item = descr_type(field[1], depth + 1)
    shape = field[2] if len(field) == 3 else ()
    if item is None or not is_shape(shape):
        return None
    return ItemType(item.size * prod(shape), item.holds_objects)


def is_shape(shape: object) -> TypeGuard[tuple[int, ...]]:
    return isinstance(shape, tuple) and all(type(size) is int and 0 <= size < 2**48 for size in shape)


def pickled_type(value: Value, depth: int = 0) -> ItemType | None:
    """A `numpy.dtype` as a pickle builds it (`dtype.__reduce__`); None where it is not written as numpy writes it."""
    if not (isinstance(value, Instance) and isinstance(value.function, Global)) or depth > 8:
        return None
    arguments, state = value.arguments, value.state
    if (value.function.module, value.function.name) != ("numpy", "dtype") or value.builds != 1:
        return None
    if not (isinstance(arguments, tuple) and isinstance(state, tuple) and arguments and len(state) in (8, 9)):
        return None
    item = simple_type(arguments[0]) if isinstance(arguments[0], str) else None
    return item if item is not None and _agrees(item, state, depth) else None


def _agrees(item: ItemType, state: tuple[Value, ...], depth: int) -> bool:
    """The state (version, order, subarray, names, fields, size, alignment, flags) must not make it another type."""
    _, _, subarray, names, fields, size, _, flags = state[:8]
    if subarray is not None or size not in (-1, item.size) or not isinstance(flags, int):
        return False
    if item.holds_objects:
        return names is None and fields is None
    return not flags & _HAS_OBJECT and ((names is None and fields is None) or _plain_fields(fields, item.size, depth))


def _plain_fields(fields: Value, size: int, depth: int) -> bool:
    if not isinstance(fields, Mapping) or not fields.only_strings:
        return False
    return all(_plain_field(field, size, depth) for field in fields.items.values())


def _plain_field(field: Value, size: int, depth: int) -> bool:
    if not isinstance(field, tuple) or len(field) < 2 or not isinstance(field[1], int):
        return False
    item = pickled_type(field[0], depth + 1)
    return item is not None and not item.holds_objects and 0 <= field[1] <= size - item.size
