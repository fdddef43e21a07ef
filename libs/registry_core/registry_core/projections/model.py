"""What a projection is: a pure fold of the log into one row per key."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import structlog

from registry_core.events import Event, versions_of
from registry_core.telemetry import HANDLED

log = structlog.get_logger()

Row = dict[str, Any]
"""Column values by name, JSON-able: times as ISO 8601 text, `jsonb` columns as what their JSON stands for."""


class Entry(Protocol):
    """What a projection may know of an event in the log. Whatever else an event has is not read for it."""

    @property
    def log_index(self) -> int | None: ...
    @property
    def stream(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def body(self) -> bytes | None: ...
    @property
    def actor(self) -> str: ...
    @property
    def occurred_at(self) -> datetime: ...
    @property
    def recorded_at(self) -> datetime: ...
    @property
    def data(self) -> Event:
        """The typed body. Raises `UnknownEventTypeError` or pydantic's `ValidationError`."""


Evolve = Callable[[Row | None, Any], Row | None]
EvolveKey = Callable[[str, Row | None, Any], Row | None]
Touched = tuple[Entry, list[str]]
"""An event and the keys of the rows that it touches."""
LeftOut = Callable[["Projection", Entry], None]


def types_of(*events: type[Event]) -> frozenset[str]:
    """Under which types these events are stored, in whatever version."""
    return frozenset(name for event in events for name in versions_of(event))


def tell(projection: "Projection", event: Entry) -> None:
    """A view goes on without an event it cannot show; the log has it all the same. Call it where that was raised."""
    log.exception("event left out of a view", view=projection.name, type=event.type, log_index=event.log_index)
    HANDLED.labels(f"projection:{projection.name}", event.type, "left_out").inc()


def keep_silent(_projection: "Projection", _event: Entry) -> None:
    """While a table warms up: what it leaves out was told when it happened."""


@dataclass(frozen=True, slots=True)
class Projection:
    """Kept in a table `projection.<name>__v<version>` or a later generation of it, shown as `views.<name>`.

    Every table has `key text` first and `log_index bigint`, the index of the event that last changed the row.
    """

    name: str
    version: int
    columns: str
    """SQL of the further columns; they must be able to be null or have a default."""
    keys: Callable[[Any], Iterable[str]]
    """Which rows an event touches; none if it does not concern this projection."""
    evolve: Evolve | None
    """The row after the event, a new one; None leaves it as it was. `key` and `log_index` are set by the fold."""
    types: frozenset[str] | None = None
    """Event types that can touch a row, all others are not even read; None: any, unknown ones too."""
    indexes: Mapping[str, str] = field(default_factory=dict)
    """SQL of indexed columns, by the end of the index's name."""
    evolve_key: EvolveKey | None = None
    """In place of `evolve`, where one event makes rows that differ: it is told which."""

    @property
    def table(self) -> str:
        """The first table of this version; a rebuild makes another one."""
        return f"{self.name}__v{self.version}"

    def fold(self, rows: Mapping[str, Row], events: Iterable[Entry], left_out: LeftOut = tell) -> dict[str, Row]:
        """The rows that changed, by key, after these events."""
        return self.fold_touched(rows, self.touched(events, left_out), left_out)

    def touched(self, events: Iterable[Entry], left_out: LeftOut = tell) -> list[Touched]:
        """The events that touch any row, with its key."""
        found = []
        for event in events:
            try:
                if keys := [
                    key.replace("\0", "\ufffd") for key in self.keys(event)
                ]:  # a text of PostgreSQL's has no NUL
                    found.append((event, keys))
            except Exception:
                left_out(self, event)
        return found

    def fold_touched(
        self, rows: Mapping[str, Row], touched: Iterable[Touched], left_out: LeftOut = tell
    ) -> dict[str, Row]:
        """As `fold`, with the keys known."""
        changed, evolve, evolve_key = dict[str, Row](), self.evolve, self.evolve_key
        for event, keys in touched:
            try:
                for key in keys:
                    before = changed.get(key) or rows.get(key)
                    row = evolve(before, event) if evolve else evolve_key(key, before, event) if evolve_key else None
                    if row is not None:
                        changed[key] = row = row.copy() if row is before else row
                        row["key"], row["log_index"] = key, event.log_index
            except Exception:
                left_out(self, event)
        return changed
