"""docs/authorisation.md as a value: what the tables there say, in their own words."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

GUIDE: Final = Path(__file__).parents[1] / "docs" / "authorisation.md"
OPEN: Final = frozenset({"each asset", "readable", "nothing"})
"""What is decided by holding the action for any asset at all, as far as the request as a whole goes."""


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    path: str
    action: str
    on: str


@dataclass(frozen=True, slots=True)
class Specification:
    roles: dict[str, frozenset[str]]
    """The roles that each action has a mark for."""
    routes: tuple[Route, ...]
    topics: dict[str, tuple[str, str]]
    """Account and action by inbound topic."""

    def allows(self, route: Route, role: str, *, everywhere: bool, own: bool) -> bool:
        """Whether who holds the role, everywhere or on their own asset, gets through; `own`: asks about that one."""
        if role not in self.roles[route.action]:
            return False
        return everywhere or route.on in OPEN or (route.on == "its asset" and own)


def _tables() -> dict[str, list[list[str]]]:
    """Rows of each table by the text of its first heading."""
    found: dict[str, list[list[str]]] = {}
    name = ""
    for line in GUIDE.read_text().splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            name = ""
        elif not name:
            name = cells[0]
            found[name] = [cells]
        elif not set(line) <= set("| -"):
            found[name].append(cells)
    return found


@cache
def specification() -> Specification:
    """The tables as they are."""
    tables = _tables()
    head, *rows = tables["action"]
    roles = {row[0]: frozenset(role for role, mark in zip(head, row, strict=True) if mark == "✓") for row in rows}
    routes = tuple(Route(*row[0].split(" ", 1), *row[1:]) for row in tables["route"][1:])
    topics = {row[0]: (row[1], row[2]) for row in tables["topic"][1:]}
    return Specification(roles, routes, topics)
