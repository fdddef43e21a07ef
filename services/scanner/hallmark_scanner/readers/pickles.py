"""Pickle files: plain ones, several in one file, and joblib's with array bytes between the opcodes.

A joblib file means one thing to `joblib.load` and another to `pickle.load`, which takes the array bytes for opcodes.
Both ways of reading are followed, so that no gadget hides in what one of them skips.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import BinaryIO

from hallmark_scanner.readers.dtypes import is_shape, pickled_type
from hallmark_scanner.readers.machine import ARRAY_WRAPPER, RECONSTRUCTOR, Machine
from hallmark_scanner.readers.opcodes import Reader, read_opcodes
from hallmark_scanner.readers.scan import Scan, UnreadableError
from hallmark_scanner.readers.steps import execute
from hallmark_scanner.readers.symbols import OPAQUE, Instance, Mapping, Value, is_global

Persistent = Callable[[Value], Value | None]


@dataclass(slots=True)
class Outcome:
    """`pickles` ended with STOP; `array_wrappers` is the number of joblib arrays built in them."""

    pickles: int = 0
    globals_named: int = 0
    array_wrappers: int = 0
    problem: UnreadableError | None = None


def scan_pickle(
    open_stream: Callable[[], BinaryIO], scan: Scan, where: str, persistent: Persistent | None = None
) -> str:
    """Follow every pickle of a stream to its last byte; the format, `pickle` or `joblib`."""
    plain = follow(open_stream(), scan, where, persistent)
    if not plain.array_wrappers:
        _note_problem(plain, scan, where)
        return "pickle"
    _note_problem(follow(open_stream(), scan, where, persistent, joblib=True), scan, where)
    return "joblib"


def follow(
    stream: BinaryIO, scan: Scan, where: str, persistent: Persistent | None = None, *, joblib: bool = False
) -> Outcome:
    """Note what the pickles of a stream would do, up to its end or the first `problem`."""
    outcome = Outcome()
    try:
        _follow(_Walk(Reader(stream), scan, where, persistent or _no_persistent_ids, joblib), outcome)
    except UnreadableError as problem:
        outcome.problem = problem
    except (OSError, EOFError) as problem:
        outcome.problem = UnreadableError("compressed-unreadable", str(problem))
    return outcome


def _note_problem(outcome: Outcome, scan: Scan, where: str) -> None:
    if outcome.problem is not None:
        trailing = outcome.pickles and outcome.problem.rule == "pickle-unreadable"
        scan.note("trailing-bytes" if trailing else outcome.problem.rule, where, str(outcome.problem))
    elif not outcome.pickles:
        scan.note("pickle-unreadable", where, "holds no pickle")


def _no_persistent_ids(_: Value) -> Value | None:
    return None


@dataclass(frozen=True, slots=True)
class _Walk:
    reader: Reader
    scan: Scan
    where: str
    persistent: Persistent
    joblib: bool

    def machine(self) -> Machine:
        return Machine(self.scan, self.where, self.persistent)


def _follow(walk: _Walk, outcome: Outcome) -> None:
    machine = None
    for opcode in read_opcodes(walk.reader):
        machine = machine or walk.machine()
        named = machine.globals_named
        execute(machine, opcode)
        outcome.globals_named += machine.globals_named - named
        if opcode.name == "BUILD" and _is_array_wrapper(machine.stack[-1]):
            outcome.array_wrappers += 1
            if walk.joblib:
                machine.stack[-1] = _array(walk, machine, outcome)
        if machine.stopped:
            _end_pickle(walk, machine, outcome)
            machine = None
    if machine is not None:
        raise UnreadableError("pickle-unreadable", f"ends without STOP at byte {walk.reader.position}")


def _end_pickle(walk: _Walk, machine: Machine, outcome: Outcome) -> None:
    outcome.pickles += 1
    if walk.joblib:
        _require_frame_end(walk, machine)
    if outcome.pickles > walk.scan.limits.pickles:
        raise UnreadableError("limit-exceeded", f"holds more than {walk.scan.limits.pickles} pickles")


def _is_array_wrapper(value: Value) -> bool:
    """Made by NEWOBJ, or by copyreg._reconstructor below protocol 2; the machine flags every other way to make one."""
    if not isinstance(value, Instance):
        return False
    maker = value.function
    if is_global(maker, RECONSTRUCTOR) and isinstance(value.arguments, tuple) and value.arguments:
        maker = value.arguments[0]
    return is_global(maker, ARRAY_WRAPPER)


def _array(walk: _Walk, machine: Machine, outcome: Outcome) -> Value:
    """Pass over the bytes of one array, or follow the pickle that holds its objects."""
    _require_frame_end(walk, machine)
    state = _wrapper_state(machine.stack[-1])
    item, shape = pickled_type(state.get("dtype")), state.get("shape")
    if item is None or not is_shape(shape):
        raise UnreadableError("pickle-unreadable", "an array's shape or dtype is not written as joblib writes it")
    if item.holds_objects:
        _follow_one(walk, outcome)
        return OPAQUE
    if state.get("numpy_array_alignment_bytes") is not None:
        walk.reader.skip(walk.reader.exactly(1)[0])
    walk.reader.skip(item.size * prod(shape))
    return OPAQUE


def _wrapper_state(wrapper: Value) -> dict[str, Value]:
    if isinstance(wrapper, Instance) and wrapper.builds == 1 and isinstance(wrapper.state, Mapping):
        # With arguments of its own, __init__ would set attributes that the state does not show.
        bare = wrapper.arguments == () or is_global(wrapper.function, RECONSTRUCTOR)
        if wrapper.state.only_strings and bare:
            return wrapper.state.items
    raise UnreadableError("pickle-unreadable", "an array wrapper is not written as joblib writes it")


def _follow_one(walk: _Walk, outcome: Outcome) -> None:
    machine = walk.machine()
    for opcode in read_opcodes(walk.reader):
        execute(machine, opcode)
        if machine.stopped:
            break
    outcome.globals_named += machine.globals_named
    if not machine.stopped:
        raise UnreadableError("pickle-unreadable", "an array of objects ends without STOP")
    _require_frame_end(walk, machine)


def _require_frame_end(walk: _Walk, machine: Machine) -> None:
    """joblib reads arrays from behind the current frame, wherever in the frame it stands."""
    if walk.reader.position < machine.frame_end:
        raise UnreadableError("pickle-unreadable", f"a frame goes on past byte {walk.reader.position}")
