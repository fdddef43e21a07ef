"""What the pickle machine keeps in place of objects."""

from dataclasses import dataclass, field
from typing import TypeAlias

Value: TypeAlias = object
"""int, bool, None, str, a tuple of Values, or one of the classes below."""


class Opaque:
    """A value that no decision of the scan needs."""


OPAQUE = Opaque()


class Container:
    """A list or set; what is in it was looked at when it was made."""


@dataclass(slots=True, eq=False)
class Global:
    module: str
    name: str


def is_global(value: Value, path: tuple[str, str]) -> bool:
    return isinstance(value, Global) and (value.module, value.name) == path


@dataclass(slots=True, eq=False)
class Instance:
    """What a call returned. `state` is from the last of `builds` BUILD opcodes."""

    function: Value
    arguments: Value
    state: Value = None
    builds: int = 0


@dataclass(slots=True, eq=False)
class Mapping:
    """A dict: its short string keys only, and whether there were others (which might equal one of these)."""

    items: dict[str, Value] = field(default_factory=dict)
    only_strings: bool = True

    LIMIT = 256

    def update(self, flat: list[Value]) -> None:
        """Key, value, key, value, … as SETITEMS takes them."""
        for key, value in zip(flat[::2], flat[1::2], strict=False):
            if isinstance(key, str) and len(self.items) < self.LIMIT:
                self.items[key] = value
            else:
                self.only_strings = False
