"""What writers were told, held against what the log shows. No I/O."""

from collections import Counter, deque
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final
from uuid import UUID

from registry_core.events import RecordedEvent
from registry_core.store import Append, Appended

ROLLED_BACK: Final = "rolled-back"
"""Actor of events whose transaction is never committed."""
_REMEMBERED: Final = 100_000
"""Refused events that are looked for; older ones would have shown by then."""
Place = tuple[str, int]


@dataclass(slots=True)
class Findings:
    """What is wrong, by kind, with the first case of each."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, detail: object = "", count: int = 1) -> None:
        self.counts[kind] += count
        self.first.setdefault(kind, str(detail))


class Book:
    """Memory does not grow with the log: an event is forgotten once it was both acknowledged and read."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.next_index = 0
        self.versions: dict[str, int] = {}
        """The last version read of each stream."""
        self.told: dict[str, int] = {}
        """The last version that a writer was told of each stream."""
        self._promised: dict[UUID, Place] = {}
        self._early: dict[UUID, Place] = {}
        self._refused: set[UUID] = set()
        self._refusals: deque[UUID] = deque()
        self._partitions: dict[tuple[str, int], int] = {}

    @property
    def waiting(self) -> int:
        """Acknowledged events that the log has not shown yet."""
        return len(self._promised)

    def acknowledge(self, append: Append, result: Appended) -> None:
        """The first answer to an append."""
        self.told[append.stream] = max(result.last_version, self.told.get(append.stream, -1))
        for version, event in enumerate(append.events, result.first_version):
            place = (append.stream, version)
            shown = self._early.pop(event.id, None)
            if shown is None:
                self._promised[event.id] = place
            elif shown != place:
                self.findings.add("acknowledged at another place", f"{event.id}: {place}, the log has {shown}")

    def refuse(self, append: Append) -> None:
        """A conflict: nothing of the append may ever show."""
        for event in append.events:
            if event.id in self._early:
                self.findings.add("refused and visible", event.id)
            self._refused.add(event.id)
            self._refusals.append(event.id)
        while len(self._refusals) > _REMEMBERED:
            self._refused.discard(self._refusals.popleft())

    def read(self, event: RecordedEvent, topic: str, partition: int, previous: int) -> None:
        """The next event of the log."""
        self._check_order(event)
        self._check_content(event)
        home = (topic, partition)
        if previous != self._partitions.get(home, -1):
            self.findings.add("broken chain of a partition", f"{home} at log index {event.log_index}")
        self._partitions[home] = event.log_index or 0
        self._check_promise(event)

    def _check_order(self, event: RecordedEvent) -> None:
        if event.log_index != self.next_index:
            self.findings.add("gap in the log", f"log index {event.log_index} where {self.next_index} is due")
        self.next_index = (event.log_index or 0) + 1
        due = self.versions.get(event.stream, -1) + 1
        if event.version != due:
            self.findings.add("stream out of order", f"{event.stream}: version {event.version} where {due} is due")
        self.versions[event.stream] = max(event.version, due - 1)

    def _check_content(self, event: RecordedEvent) -> None:
        if event.actor == ROLLED_BACK:
            self.findings.add("rolled back and visible", event.id)
        if event.id in self._refused:
            self.findings.add("refused and visible", event.id)
        if sha256(event.body or b"").digest() != event.body_sha256:
            self.findings.add("body does not have its hash", event.id)

    def _check_promise(self, event: RecordedEvent) -> None:
        place = (event.stream, event.version)
        promised = self._promised.pop(event.id, None)
        if promised is None:
            self._early[event.id] = place
        elif promised != place:
            self.findings.add("acknowledged at another place", f"{event.id}: {promised}, the log has {place}")

    def close(self) -> None:
        """Everybody has been answered and everything is read: both sides have to be the same."""
        for what, left in (("acknowledged and never sealed", self._promised),
                           ("sealed and never acknowledged", self._early)):  # fmt: skip
            if left:
                event, (stream, version) = next(iter(left.items()))
                self.findings.add(what, f"{event}: {stream} version {version}", len(left))
