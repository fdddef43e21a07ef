"""Expressions in CEL (github.com/google/cel-spec) over the facts and a pack's thresholds, and over nothing else.

The engine is cel-cpp by way of `cel_expr_python`. Facts are declared as protobuf messages, so a misspelt field or a
comparison of a number with text is found when a pack is loaded. No extension is loaded: text and lists can only grow
by `+`, which `cost` limits.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from cel_expr_python import cel  # type: ignore[import-untyped]  # its stubs come without a py.typed marker

from hallmark_approval.policy.cost import MAX_CHARACTERS, too_costly
from hallmark_approval.policy.facts import Facts
from hallmark_approval.policy.licences import licence_allowed
from hallmark_approval.policy.schema import PACKAGE, MessageSchema, Shape, shapes

MAX_ITEMS = 1000
"""Longest list of the facts that rules read."""
MAX_BYTES = 2**20
"""Largest facts, as JSON."""

Threshold = bool | int | float | str | tuple[str, ...]
Inputs = Mapping[str, Any]

_SCHEMA = MessageSchema(Facts)
_LIST_OF_STRING = cel.Type.List(cel.Type.STRING)
_PREFIX = re.compile(r"^[A-Z_]+: (ERROR: )?(<input>:)?")
_SUFFIX = re.compile(r" \[[A-Z_]+\]$")


class CompileError(ValueError):
    """An expression that may not be part of a pack; the text says where and why."""


class FactsTooLargeError(ValueError):
    """Facts beyond what rules read; nothing was evaluated."""


class EvaluationError(ValueError):
    """An expression failed on these facts, e.g. an index out of range."""


class Returns(Enum):
    """What an expression may give, by the engine's type names."""

    TRUTH = frozenset({"BOOL"})
    NAMES = frozenset({"LIST<STRING>"})
    TEXT = frozenset({"STRING", "INT", "DOUBLE", "BOOL", "LIST<STRING>"})


def _clean(error: object) -> str:
    """`1:5: undefined field …` of the engine's `INVALID_ARGUMENT: ERROR: <input>:1:5: …  [INVALID_ARGUMENT]`."""
    return _SUFFIX.sub("", _PREFIX.sub("", str(error).strip()))


@dataclass(frozen=True, slots=True)
class Program:
    """A checked expression."""

    source: str
    _expression: Any

    def run(self, activation: Any) -> Any:
        """bool, int, float, str or list of str. Raises `EvaluationError`."""
        try:
            value = self._expression.eval(activation)
            if value.type() == cel.Type.ERROR:
                raise EvaluationError(_clean(value.value()))
            return value.plain_value()
        except (RuntimeError, MemoryError) as error:  # how the engine reports a spent budget
            raise EvaluationError(_clean(error)) from error


class Environment:
    """Compiles and runs the expressions of one pack. Thresholds are typed variables `thresholds.<name>`."""

    def __init__(self, thresholds: Mapping[str, Threshold]) -> None:
        self._constants = {f"thresholds.{name}": _plain(value) for name, value in thresholds.items()}
        declared = {f"thresholds.{name}": _threshold_type(value) for name, value in thresholds.items()}
        facts = {name: _fact_type(shape) for name, shape in shapes(Facts)}
        self._env = cel.NewEnv(_SCHEMA.pool, variables={**facts, **declared}, functions=[_LICENCE_ALLOWED])

    def compile(self, source: str, returns: Returns) -> Program:
        """Raises `CompileError` with line:column, the reason and a mark under the place."""
        if len(source) > MAX_CHARACTERS:
            raise CompileError(f"{len(source)} characters; at most {MAX_CHARACTERS}")
        try:
            expression = self._env.compile(source)
        except (RuntimeError, ValueError) as error:
            raise CompileError(_clean(error)) from error
        if (given := expression.return_type().name()) not in returns.value:
            raise CompileError(f"gives {given}; must give {' or '.join(sorted(returns.value))}")
        if reason := too_costly(expression.serialize()):
            raise CompileError(reason)
        return Program(source, expression)

    def bind(self, facts: Facts) -> Any:
        """What programs of this environment run on. Raises `FactsTooLargeError`."""
        _check_size(facts)
        message = _SCHEMA.message(facts)
        variables = {name: _variable(getattr(message, name), shape) for name, shape in shapes(Facts)}
        return self._env.Activation({**self._constants, **variables})


def _variable(value: Any, shape: Shape) -> Any:
    return list(value) if shape.repeated else value  # the engine takes lists, not protobuf's containers


def _fact_type(shape: Shape) -> Any:
    item = cel.Type(f"{PACKAGE}.{shape.model.__name__}") if shape.model else cel.Type.STRING
    return cel.Type.List(item) if shape.repeated else item


def _plain(value: Threshold) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _threshold_type(value: Threshold) -> Any:
    known = {bool: cel.Type.BOOL, int: cel.Type.INT, float: cel.Type.DOUBLE, str: cel.Type.STRING}
    return known.get(type(value), _LIST_OF_STRING)


_LICENCE_ALLOWED = cel.FunctionDecl(
    "licence_allowed",
    [
        cel.Overload(
            "licence_allowed_string_list",
            return_type=cel.Type.BOOL,
            parameters=[cel.Type.STRING, _LIST_OF_STRING],
            is_member=False,
            impl=lambda expression, allowed: licence_allowed(expression, list(allowed)),
        )
    ],
)


def _check_size(facts: Facts) -> None:
    if (size := len(facts.model_dump_json())) > MAX_BYTES:
        raise FactsTooLargeError(f"the facts take {size} bytes; rules read at most {MAX_BYTES}")
    for path, length in _lists(facts.model_dump()):
        if length > MAX_ITEMS:
            raise FactsTooLargeError(f"{path} has {length} entries; rules read at most {MAX_ITEMS}")


def _lists(value: Any, path: str = "") -> list[tuple[str, int]]:
    if isinstance(value, dict):
        return [found for name, item in value.items() for found in _lists(item, f"{path}.{name}".lstrip("."))]
    if isinstance(value, tuple | list):
        return [(path, len(value)), *(found for item in value for found in _lists(item, path))]
    return []
