"""A stack machine that does what an unpickler does, with names in place of objects.

It imports nothing and calls nothing. Its stack, marks and memo behave exactly like those of `pickle.Unpickler`
(PEP 3154, comments of `pickletools`), because a name that is resolved otherwise than there is a hole. What it need not
know (long strings, floats, contents of lists) is `OPAQUE`; a name or a callable that comes out opaque is a finding.
"""

from collections.abc import Callable

from hallmark_scanner.readers.globals import python3_name, standing
from hallmark_scanner.readers.scan import Scan, UnreadableError
from hallmark_scanner.readers.symbols import OPAQUE, Global, Instance, Mapping, Value, is_global

_HIGHEST_PROTOCOL = 5
_FRAME_OPCODE = 9
_LATIN1 = ("latin1", "latin-1")
_ENCODE = ("_codecs", "encode")
RECONSTRUCTOR = ("copyreg", "_reconstructor")
ARRAY_WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")
"""What joblib puts in the place of an array; its bytes follow the opcode that builds it."""


class Machine:
    """Runs one pickle. `persistent` turns a persistent id into a value, or None where the format has none."""

    def __init__(self, scan: Scan, where: str, persistent: Callable[[Value], Value | None]) -> None:
        self._scan, self._where, self._persistent = scan, where, persistent
        self.stack: list[Value] = []
        self._marked: list[list[Value]] = []
        self._memo: dict[int, Value] = {}
        self._protocol = 0
        self.position = 0
        self.frame_end = 0
        self.globals_named = 0
        self.stopped = False

    def push(self, value: Value) -> None:
        self.stack.append(value)

    def pop_mark(self) -> list[Value]:
        items, self.stack = self.stack, self._marked.pop()
        return items

    def mark(self) -> None:
        self._marked.append(self.stack)
        self.stack = []

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.pop_mark()

    def memoize(self, index: int | None = None) -> None:
        self._memo[len(self._memo) if index is None else index] = self.stack[-1]

    def recall(self, index: int) -> None:
        if index not in self._memo:
            raise self.unreadable(f"memo entry {index} is asked for but was never stored")
        self.push(self._memo[index])

    def stop(self) -> None:
        self.stack.pop()
        self.stopped = True

    def frame(self, size: int) -> None:
        """The Python unpickler reads a whole frame at once; the C one does not care (PEP 3154)."""
        self.frame_end = self.position + _FRAME_OPCODE + size

    def protocol(self, number: int) -> None:
        if number > _HIGHEST_PROTOCOL:
            raise self.unreadable(f"protocol {number} is unknown")
        self._protocol = number

    def name_global(self, module: Value, name: Value) -> None:
        if isinstance(module, str) and isinstance(name, str):
            self._judge(module, name)
            self.push(Global(*(python3_name(module, name) if self._protocol < 3 else (module, name))))
        else:
            self._note("pickle-unresolved-global", "a global's module or name is not a plain string")
            self.push(OPAQUE)
        self.globals_named += 1

    def _judge(self, module: str, name: str) -> None:
        verdict = standing(module, name, self._protocol)
        if verdict == "dangerous":
            self._note("pickle-dangerous-global", f"names {module}.{name}, which can run code or reach the system")
        elif verdict == "unknown":
            self._note("pickle-unknown-global", f"names {module}.{name}, which is not on the list of known types")

    def call(self, function: Value, arguments: Value) -> None:
        if not isinstance(function, Global):
            self._note("pickle-computed-callable", "calls something that is not a named class or function")
        elif not _usual(function, arguments):
            self._note("pickle-unusual-argument", f"calls {function.module}.{function.name} with unusual arguments")
        self.push(Instance(function, arguments))

    def build(self) -> Value:
        state = self.stack.pop()
        target = self.stack[-1]
        self._modify(target)
        if isinstance(target, Instance):
            target.state = state
            target.builds += 1
        return target

    def add(self, items: list[Value]) -> None:
        """Append to, or put pairs into, the object below the items."""
        target = self.stack[-1]
        self._modify(target)
        if isinstance(target, Mapping):
            target.update(items)

    def _modify(self, target: Value) -> None:
        if isinstance(target, Global):
            self._note("pickle-modifies-global", f"changes {target.module}.{target.name}")

    def persistent(self, identifier: Value) -> None:
        value = self._persistent(identifier)
        if value is None:
            self._note("pickle-persistent-id", "asks the reader for an object by a persistent id")
        self.push(OPAQUE if value is None else value)

    def extension(self, code: int) -> None:
        self._note("pickle-extension-code", f"names a global by extension code {code}")
        self.globals_named += 1
        self.push(OPAQUE)

    def external_buffer(self) -> None:
        self._note("pickle-external-buffer", "takes a buffer from outside the file")
        self.push(OPAQUE)

    def _note(self, rule: str, message: str) -> None:
        self._scan.note(rule, f"{self._where} at byte {self.position}", message)

    def unreadable(self, message: str) -> UnreadableError:
        return UnreadableError("pickle-unreadable", f"{message} (byte {self.position})")


def _usual(function: Value, arguments: Value) -> bool:
    if not isinstance(arguments, tuple):
        return False
    if is_global(function, _ENCODE):
        # Its second argument names a codec, which is a module that gets imported.
        return len(arguments) == 2 and arguments[1] in _LATIN1
    # A listed function that makes an instance of the class it is given would make an array wrapper unseen.
    return is_global(function, RECONSTRUCTOR) or not any(is_global(value, ARRAY_WRAPPER) for value in arguments)
