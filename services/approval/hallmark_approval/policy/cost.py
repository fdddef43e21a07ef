"""What an expression may cost at most, told from its checked syntax tree before it is ever run.

CEL's engine stops after 10,000 loop iterations, but a short expression can still double a string in each of many
loops, or compare whole lists inside a loop. So growth and deep comparison are refused here. The tree is the engine's
own `cel.expr.CheckedExpr` (cel-spec, proto/cel/expr/checked.proto); only the fields read are declared.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # type: ignore[import-untyped]  # no stubs

MAX_CHARACTERS = 1000
MAX_LOOPS = 4
MAX_NESTING = 2
MAX_JOINS = 4
"""Concatenations of text by `+`."""

_ADD_NUMBERS = {"add_int64", "add_uint64", "add_double"}

_SCALAR_NAMES = {"int64": "TYPE_INT64", "string": "TYPE_STRING", "bytes": "TYPE_BYTES"}
_MESSAGES: dict[str, tuple[tuple[str, int, str], ...]] = {
    "Any": (("value", 2, "bytes"),),
    "CheckedExpr": (("reference_map", 2, "*ReferenceEntry"), ("type_map", 3, "*TypeEntry"), ("expr", 4, "Expr")),
    "ReferenceEntry": (("key", 1, "int64"), ("value", 2, "Reference")),
    "Reference": (("overload_id", 3, "*string"),),
    "TypeEntry": (("key", 1, "int64"), ("value", 2, "Type")),
    "Type": (("null", 2, "int64"), ("primitive", 3, "int64")),
    "Expr": (
        ("id", 2, "int64"),
        ("select_expr", 5, "Select"),
        ("call_expr", 6, "Call"),
        ("list_expr", 7, "List"),
        ("struct_expr", 8, "Struct"),
        ("comprehension_expr", 9, "Comprehension"),
    ),
    "Select": (("operand", 1, "Expr"),),
    "Call": (("target", 1, "Expr"), ("function", 2, "string"), ("args", 3, "*Expr")),
    "List": (("elements", 1, "*Expr"),),
    "Struct": (("entries", 2, "*Entry"),),
    "Entry": (("map_key", 3, "Expr"), ("value", 4, "Expr")),
    "Comprehension": (
        ("iter_range", 2, "Expr"),
        ("accu_init", 4, "Expr"),
        ("loop_condition", 5, "Expr"),
        ("loop_step", 6, "Expr"),
        ("result", 7, "Expr"),
    ),
}


def _message_class() -> Any:
    proto = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="checked.proto", package="checked", syntax="proto2")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind in fields:
            label = proto.LABEL_REPEATED if kind.startswith("*") else proto.LABEL_OPTIONAL
            field = message.field.add(name=field_name, number=number, label=label)
            base = kind.removeprefix("*")
            if base in _MESSAGES:
                field.type, field.type_name = proto.TYPE_MESSAGE, f".checked.{base}"
            else:
                field.type = getattr(proto, _SCALAR_NAMES[base])
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return lambda name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"checked.{name}"))


_CLASS = _message_class()


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    overloads: frozenset[str]
    scalars: tuple[bool, ...]
    """Of each argument: whether it is a string, number, boolean or null."""
    depth: int
    """How many loops it runs in."""

    @property
    def joins_text(self) -> bool:
        return self.function == "_+_" and not self.overloads <= (_ADD_NUMBERS | {"add_list"})

    @property
    def compares_deeply(self) -> bool:
        equality = self.function in ("_==_", "_!=_") and not any(self.scalars)
        return equality or (self.function == "@in" and not self.scalars[0])


def _children(expr: Any, depth: int) -> Iterator[tuple[Any, int]]:
    if expr.HasField("comprehension_expr"):
        loop = expr.comprehension_expr
        yield from ((part, depth) for part in (loop.iter_range, loop.accu_init, loop.result))
        yield from ((part, depth + 1) for part in (loop.loop_condition, loop.loop_step))
    if expr.HasField("call_expr"):
        target = (expr.call_expr.target,) if expr.call_expr.HasField("target") else ()
        yield from ((part, depth) for part in (*target, *expr.call_expr.args))
    if expr.HasField("select_expr"):
        yield expr.select_expr.operand, depth
    yield from ((part, depth) for part in expr.list_expr.elements)
    for entry in expr.struct_expr.entries:
        yield from ((part, depth) for part in (entry.map_key, entry.value))


def _walk(expr: Any, depth: int = 0) -> Iterator[tuple[Any, int]]:
    yield expr, depth
    for child, below in _children(expr, depth):
        yield from _walk(child, below)


def _refusals(loops: list[int], calls: list[Call]) -> Iterator[str]:
    if len(loops) > MAX_LOOPS:
        yield f"{len(loops)} loops (all, exists, exists_one, filter, map); at most {MAX_LOOPS}"
    nesting = max([*loops, *(c.depth + 1 for c in calls if c.function == "@in")], default=0)
    if nesting > MAX_NESTING:
        yield f"loops and `in` nested {nesting} deep; at most {MAX_NESTING}"
    joins = [c for c in calls if c.joins_text]
    if len(joins) > MAX_JOINS:
        yield f"text joined by + {len(joins)} times; at most {MAX_JOINS} (use several placeholders instead)"
    if any(c.depth >= MAX_NESTING for c in joins):
        yield "text joined by + in a nested loop; join it in the outer loop"
    # filter and map are themselves written with one list join each
    if sum("add_list" in c.overloads for c in calls) > len(loops):
        yield "lists joined by +; look at each list by itself"
    if any(c.compares_deeply for c in calls):
        yield "whole lists or records compared; compare their fields or size()"


def too_costly(serialized: bytes) -> str | None:
    """Why a compiled expression may not be used, or None. `serialized` is the engine's `CheckedExpr` in an `Any`."""
    checked = _CLASS("CheckedExpr").FromString(_CLASS("Any").FromString(serialized).value)
    overloads = {entry.key: frozenset(entry.value.overload_id) for entry in checked.reference_map}
    scalars = {e.key for e in checked.type_map if e.value.HasField("primitive") or e.value.HasField("null")}
    nodes = list(_walk(checked.expr))
    loops = [depth + 1 for expr, depth in nodes if expr.HasField("comprehension_expr")]
    calls = [
        Call(
            function=expr.call_expr.function,
            overloads=overloads.get(expr.id, frozenset()),
            scalars=tuple(a.id in scalars for a in expr.call_expr.args),
            depth=depth,
        )
        for expr, depth in nodes
        if expr.HasField("call_expr")
    ]
    return "; ".join(_refusals(loops, calls)) or None
