"""What each pickle opcode does to the machine."""

import re
from collections.abc import Callable

from hallmark_scanner.readers.machine import Machine
from hallmark_scanner.readers.opcodes import Opcode
from hallmark_scanner.readers.scan import UnreadableError
from hallmark_scanner.readers.symbols import OPAQUE, Container, Mapping, Value

_DECIMAL = re.compile(rb"-?(0|[1-9][0-9]*)L?")
_TEXT = 4096
"""Longer strings name nothing."""
Operand = bytes | None
Step = Callable[[Machine, Operand], object]


def execute(machine: Machine, opcode: Opcode) -> None:
    """Run one opcode. Raises UnreadableError where an unpickler would fail on its stack or memo."""
    machine.position = opcode.position
    try:
        _STEPS[opcode.name](machine, opcode.operand)
    except IndexError:
        message = f"{opcode.name} at byte {opcode.position} needs more than the stack holds"
        raise UnreadableError("pickle-unreadable", message) from None


def _decimal(machine: Machine, line: Operand) -> Value:
    """Readers differ on other spellings: a leading zero is octal to one and decimal to another."""
    if line is None or not _DECIMAL.fullmatch(line):
        raise machine.unreadable("a number is not written in plain decimal")
    return int(line.removesuffix(b"L")) if len(line) < 20 else OPAQUE


def _memo_index(machine: Machine, line: Operand) -> int:
    index = _decimal(machine, line)
    if not isinstance(index, int):
        raise machine.unreadable("a memo index is too large")
    return index


def _unsigned(operand: Operand) -> int:
    return int.from_bytes(operand or b"", "little")


def _signed(operand: Operand) -> Value:
    return OPAQUE if operand is None or len(operand) > 8 else int.from_bytes(operand, "little", signed=True)


def _text(operand: Operand, encoding: str, errors: str = "strict") -> Value:
    if operand is None or len(operand) > _TEXT:
        return OPAQUE
    try:
        return operand.decode(encoding, errors)
    except UnicodeDecodeError:
        return OPAQUE


def _quoted(machine: Machine, line: Operand) -> Value:
    text = (line or b"").rstrip()
    if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b"'", b'"'):
        raise machine.unreadable("a string is not quoted")
    # A name needs no escapes; what an escape would spell is not guessed at.
    return OPAQUE if b"\\" in text else _text(text[1:-1], "ascii")


def _int_line(machine: Machine, line: Operand) -> Value:
    return {b"00": False, b"01": True}[line] if line in (b"00", b"01") else _decimal(machine, line)


def _lines(operand: Operand) -> tuple[Value, Value]:
    module, _, name = (operand or b"").partition(b"\n")
    return _text(module, "utf-8"), _text(name, "utf-8")


def _inst(machine: Machine, operand: Operand) -> None:
    arguments = tuple(machine.pop_mark())
    machine.name_global(*_lines(operand))
    machine.call(machine.stack.pop(), arguments)


def _obj(machine: Machine, _: Operand) -> None:
    function, *arguments = machine.pop_mark() or [OPAQUE]
    machine.call(function, tuple(arguments))


def _stack_global(machine: Machine, _: Operand) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.name_global(module, name)


def _reduce(machine: Machine, _: Operand) -> None:
    arguments, function = machine.stack.pop(), machine.stack.pop()
    machine.call(function, arguments)


def _newobj_ex(machine: Machine, _: Operand) -> None:
    keywords, arguments, function = machine.stack.pop(), machine.stack.pop(), machine.stack.pop()
    if isinstance(arguments, tuple) and isinstance(keywords, Mapping):
        arguments = (*arguments, *keywords.items.values())
    machine.call(function, arguments)


def _tuple_of(size: int) -> Step:
    def step(machine: Machine, _: Operand) -> None:
        machine.push(tuple(machine.stack.pop() for _ in range(size))[::-1])

    return step


def _setitem(machine: Machine, _: Operand) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.add([key, value])


def _dict(machine: Machine, _: Operand) -> None:
    mapping = Mapping()
    mapping.update(machine.pop_mark())
    machine.push(mapping)


def _container(machine: Machine, _: Operand) -> None:
    machine.pop_mark()
    machine.push(Container())


def _push(value: Callable[[Machine, Operand], Value]) -> Step:
    return lambda machine, operand: machine.push(value(machine, operand))


_opaque = _push(lambda _, __: OPAQUE)
_signed_int = _push(lambda _, operand: _signed(operand))
_unsigned_int = _push(lambda _, operand: _unsigned(operand))
_unicode = _push(lambda _, operand: _text(operand, "utf-8", "surrogatepass"))
_ascii = _push(lambda _, operand: _text(operand, "ascii"))

_STEPS: dict[str, Step] = {
    "INT": _push(_int_line),
    "BININT": _signed_int,
    "BININT1": _unsigned_int,
    "BININT2": _unsigned_int,
    "LONG": _push(_decimal),
    "LONG1": _signed_int,
    "LONG4": _signed_int,
    "STRING": _push(_quoted),
    "BINSTRING": _ascii,
    "SHORT_BINSTRING": _ascii,
    "BINBYTES": _opaque,
    "SHORT_BINBYTES": _opaque,
    "BINBYTES8": _opaque,
    "BYTEARRAY8": _opaque,
    "NEXT_BUFFER": lambda machine, _: machine.external_buffer(),
    "READONLY_BUFFER": lambda machine, _: machine.stack[-1],
    "NONE": _push(lambda _, __: None),
    "NEWTRUE": _push(lambda _, __: True),
    "NEWFALSE": _push(lambda _, __: False),
    "UNICODE": _push(lambda _, line: _text(line, "raw-unicode-escape")),
    "SHORT_BINUNICODE": _unicode,
    "BINUNICODE": _unicode,
    "BINUNICODE8": _unicode,
    "FLOAT": _opaque,
    "BINFLOAT": _opaque,
    "EMPTY_LIST": _push(lambda _, __: Container()),
    "EMPTY_SET": _push(lambda _, __: Container()),
    "EMPTY_DICT": _push(lambda _, __: Mapping()),
    "EMPTY_TUPLE": _push(lambda _, __: ()),
    "LIST": _container,
    "FROZENSET": _container,
    "DICT": _dict,
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_mark())),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "APPEND": lambda machine, _: machine.add([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.add(machine.pop_mark()),
    "ADDITEMS": lambda machine, _: machine.add(machine.pop_mark()),
    "SETITEM": _setitem,
    "SETITEMS": lambda machine, _: machine.add(machine.pop_mark()),
    "POP": lambda machine, _: machine.pop(),
    "POP_MARK": lambda machine, _: machine.pop_mark(),
    "DUP": lambda machine, _: machine.push(machine.stack[-1]),
    "MARK": lambda machine, _: machine.mark(),
    "GET": lambda machine, line: machine.recall(_memo_index(machine, line)),
    "BINGET": lambda machine, operand: machine.recall(_unsigned(operand)),
    "LONG_BINGET": lambda machine, operand: machine.recall(_unsigned(operand)),
    "PUT": lambda machine, line: machine.memoize(_memo_index(machine, line)),
    "BINPUT": lambda machine, operand: machine.memoize(_unsigned(operand)),
    "LONG_BINPUT": lambda machine, operand: machine.memoize(_unsigned(operand)),
    "MEMOIZE": lambda machine, _: machine.memoize(),
    "EXT1": lambda machine, operand: machine.extension(_unsigned(operand)),
    "EXT2": lambda machine, operand: machine.extension(_unsigned(operand)),
    "EXT4": lambda machine, operand: machine.extension(_unsigned(operand)),
    "GLOBAL": lambda machine, operand: machine.name_global(*_lines(operand)),
    "STACK_GLOBAL": _stack_global,
    "INST": _inst,
    "OBJ": _obj,
    "REDUCE": _reduce,
    "NEWOBJ": _reduce,
    "NEWOBJ_EX": _newobj_ex,
    "BUILD": lambda machine, _: machine.build(),
    "PERSID": lambda machine, line: machine.persistent(_text(line, "utf-8")),
    "BINPERSID": lambda machine, _: machine.persistent(machine.stack.pop()),
    "PROTO": lambda machine, operand: machine.protocol(_unsigned(operand)),
    "FRAME": lambda machine, operand: machine.frame(_unsigned(operand)),
    "STOP": lambda machine, _: machine.stop(),
}
