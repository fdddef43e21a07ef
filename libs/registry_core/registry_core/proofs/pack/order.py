"""How the events of a pack hang together: as a whole log, or each by its proof. Both yield what is wrong, as text."""

from collections.abc import Iterator
from typing import Final, Protocol

from registry_core.events.base import RecordedEvent
from registry_core.proofs.merkle import ProofError, TreeHead, leaf_hash, verify_inclusion
from registry_core.proofs.note import Checkpoint
from registry_core.proofs.pack.lines import EventItem
from registry_core.proofs.plain_event import Run

_BATCH = 4096
POLICIES: Final = "policy:"
"""How the streams begin of which a pack may hold a part."""


class EventOrder(Protocol):
    broken: bool
    """Something before is damaged or missing, so that what depends on it can no longer be compared."""

    def run(self, run: Run) -> bool:
        """Take many events at once, where nothing about them has to be said; False: take them singly."""
        ...

    def event(self, item: EventItem, index: int) -> Iterator[str]: ...
    def checkpoint(self, checkpoint: Checkpoint) -> Iterator[str]: ...
    def end(self) -> Iterator[str]: ...


class WholeLog:
    """All events from index 0; the root is recomputed at each checkpoint, and at the one that the verifier holds."""

    def __init__(self, held: Checkpoint | None) -> None:
        self.broken = False
        self._held, self._next, self._covered = held, 0, -1
        self._tree, self._leaves = TreeHead(), list[bytes]()

    def run(self, run: Run) -> bool:
        stop = run.first_index + len(run.leaf_hashes)
        held_inside = self._held is not None and run.first_index <= self._held.size <= stop
        if self.broken or run.first_index != self._next or held_inside:
            return False
        self._next = stop
        self._leaves += run.leaf_hashes
        if len(self._leaves) >= _BATCH:
            self._grow()
        return True

    def event(self, item: EventItem, index: int) -> Iterator[str]:
        if item.proof is not None:
            yield "an event of a log export has no proof of its own"
        if index < self._next:
            self.broken = True
            yield f"the event is doubled or out of order: index {self._next} or higher is due"
            return
        if index > self._next and not self.broken:
            self.broken = True
            yield f"the events from index {self._next} to {index - 1} are missing before it"
        yield from self._compare_held()
        self._next = index + 1
        self._leaves.append(leaf_hash(item.leaf))
        if len(self._leaves) == _BATCH:
            self._grow()

    def checkpoint(self, checkpoint: Checkpoint) -> Iterator[str]:
        if self.broken:
            return
        if checkpoint.size != self._next:
            yield f"the checkpoint covers {checkpoint.size} events, but {self._next} stand before it"
        elif checkpoint.root != self._grow():
            since = max(self._covered, 0)
            yield (
                f"the {self._next} events before it do not hash to the signed root: one of them was changed, "
                f"at log index {since} to {self._next - 1}"
            )
            self.broken = True  # every later root differs as well
        self._covered = checkpoint.size

    def end(self) -> Iterator[str]:
        if self.broken:
            return
        yield from self._compare_held()
        if self._covered != self._next:
            yield f"no checkpoint covers all {self._next} events"
        if self._held and self._held.size > self._next:
            yield f"you hold a checkpoint of {self._held.size} events, the pack has {self._next}: its tail was cut off"

    def _compare_held(self) -> Iterator[str]:
        if self._held and self._held.size == self._next and not self.broken and self._held.root != self._grow():
            yield f"the first {self._next} events are not those of the checkpoint you hold: the log was rewritten"

    def _grow(self) -> bytes:
        self._tree, _ = self._tree.append(self._leaves)
        self._leaves.clear()
        return self._tree.root


class ProvenEvents:
    """Chosen events in log order, each proven against the one checkpoint before them."""

    def __init__(self, held: Checkpoint | None) -> None:
        self.broken = False
        self._held, self._next = held, 0
        self._versions: dict[str, int] = {}
        self._checkpoint: Checkpoint | None = None

    def run(self, run: Run) -> bool:
        del run  # each event has a proof of its own
        return False

    def event(self, item: EventItem, index: int) -> Iterator[str]:
        if index < self._next:
            yield f"the event is doubled or out of order: index {self._next} or higher is due"
        self._next = max(self._next, index + 1)
        yield from self._check_version(item.event)
        if self._checkpoint is None:
            if not self.broken:
                yield "no checkpoint stands before the event"
            return
        try:
            size, root = self._checkpoint.size, self._checkpoint.root
            verify_inclusion(leaf_hash(item.leaf), index, size, item.proof or (), root)
        except ProofError as error:
            yield f"it is not proven to be in the log: {error}"

    def _check_version(self, event: RecordedEvent) -> Iterator[str]:
        """Every stream is there from its beginning, except that of policies only those decided under are."""
        due = self._versions.get(event.stream, 0)
        if event.version > due and not event.stream.startswith(POLICIES):
            yield f"{event.version - due} events of {event.stream} are missing before it, from version {due}"
        self._versions[event.stream] = event.version + 1

    def checkpoint(self, checkpoint: Checkpoint) -> Iterator[str]:
        if self._checkpoint is not None:
            yield "an evidence pack has one checkpoint; this is a further one"
            return
        self._checkpoint = checkpoint
        if self._held and self._held.size != checkpoint.size:
            yield (
                f"it covers {checkpoint.size} events and cannot be compared with the one of {self._held.size} that you "
                "hold; ask for a log export, or verify without the held checkpoint"
            )
        elif self._held and self._held.root != checkpoint.root:
            yield f"its root is not that of the checkpoint of {self._held.size} events that you hold: a rewritten log"

    def end(self) -> Iterator[str]:
        if self._checkpoint is None and not self.broken:
            yield "the pack has no checkpoint"
