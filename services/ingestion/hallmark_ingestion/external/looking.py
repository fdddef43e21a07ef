"""What an outer system is to whoever compares: a list of all it has, and a look at one object."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from registry_core.events import Event

from hallmark_ingestion.external.state import State


@dataclass(frozen=True, slots=True)
class Look:
    """An object as it is now; empty where the source itself says that it is gone."""

    state: State
    renamed_to: str | None = None
    """The name under which it goes on; `state` is then what it is there."""


class Outer(Protocol):
    """Raises SourceAwayError where nothing can be concluded."""

    async def listing(self, known: Collection[str]) -> Mapping[str, State]:
        """Objects by name, those `known` and any further ones; may be torn."""
        ...

    async def look(self, name: str, known: State) -> Look:
        """One object, whole. `known` is what is known of it."""
        ...

    def to_import(self, events: Sequence[Event], state: State, since: datetime) -> Mapping[str, Any]:
        """The versions that these events are about and that belong here, since the source is connected.

        By the source's own name, with the facts that decide what comes of them: other facts are another attempt.
        """
        ...
