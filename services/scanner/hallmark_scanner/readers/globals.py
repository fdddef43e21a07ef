"""Which globals a pickle may name: listed, known to be dangerous, or unknown."""

import _compat_pickle
from functools import cache
from pathlib import Path
from typing import Literal

Standing = Literal["listed", "unknown", "dangerous"]


@cache
def _listed() -> frozenset[tuple[str, str]]:
    return frozenset((module, name) for module, *names in _rows("allowed_globals.txt") for name in names)


@cache
def _dangerous(kind: str) -> frozenset[str]:
    rows = _rows("dangerous_globals.txt")
    return frozenset(path for label, *paths in rows if label == f"{kind}:" for path in paths)


def _rows(file: str) -> list[list[str]]:
    lines = Path(__file__).with_name(file).read_text("ascii").splitlines()
    return [line.split() for line in lines if not line.startswith("#")]


def standing(module: str, name: str, protocol: int) -> Standing:
    """How a global named in a pickle of this protocol stands.

    Below protocol 3 the unpickler translates Python 2 names (`pickle.Unpickler(fix_imports=True)`, its default);
    a reader may also leave them, so a name is dangerous if either spelling is.
    """
    spelled = python3_name(module, name) if protocol < 3 else (module, name)
    if _is_dangerous(module, name) or _is_dangerous(*spelled):
        return "dangerous"
    return "listed" if spelled in _listed() else "unknown"


def python3_name(module: str, name: str) -> tuple[str, str]:
    """What `Unpickler.find_class` makes of a Python 2 global."""
    if (module, name) in _compat_pickle.NAME_MAPPING:
        renamed: tuple[str, str] = _compat_pickle.NAME_MAPPING[(module, name)]
        return renamed
    return _compat_pickle.IMPORT_MAPPING.get(module, module), name


def _is_dangerous(module: str, name: str) -> bool:
    """Also through a dotted name: protocol 4 resolves `numpy` `os.system` by attributes of attributes."""
    tails = [name.split(".", n)[n] for n in range(name.count("."))]
    return any(_names_danger(path) for path in (f"{module}.{name}", *tails))


def _names_danger(path: str) -> bool:
    parts = path.split(".")
    owners = (".".join(parts[:n]) for n in range(1, len(parts)))
    return path in _dangerous("names") or any(owner in _dangerous("modules") for owner in owners)
