"""Erased bodies: each has to be named by an erasure in the same log, or it was made to vanish."""

import json
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from registry_core.events.base import RecordedEvent

PERSON_ERASED: Final = "io.hallmark.privacy.person-erased.v1"
ERASABLE: Final = "io.hallmark.identity.account-created.v1"
"""The one type whose bodies an erasure may name: its later version seals what it says of a person."""
NOT_ERASABLE: Final = "its body is gone, and events of its type cannot be erased"


class Erasures:
    """What the erasures in a whole log name, and what is gone. `line` is where it stands: in a file, or in the log."""

    def __init__(self) -> None:
        self._named: set[UUID] = set()
        self._gone: dict[UUID, tuple[int, int | None]] = {}

    def event(self, event: RecordedEvent, line: int) -> None:
        if event.body is None:
            if event.type == ERASABLE:
                self._gone[event.id] = (line, event.log_index)
        elif event.type == PERSON_ERASED:
            self._named.update(_named(event.body))

    def unnamed(self) -> Iterator[tuple[int, str]]:
        """Line and name of every event of that type whose body is gone though no erasure names it."""
        for made, (line, index) in self._gone.items():
            if made not in self._named:
                yield line, f"event {made} at log index {index}"


def _named(body: bytes) -> set[UUID]:
    try:
        return {UUID(text) for text in json.loads(body)["bodies"]}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return set()
