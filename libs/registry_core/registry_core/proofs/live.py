"""Verifies a log where it is kept, from what its server hands out, and says which events were touched.

Each place of the log comes with the leaf hash stored for it. The leaf hashes are held against every signed root; each
event against its leaf hash. So an altered event is named exactly, as long as its leaf hash was not rewritten with it;
then the two checkpoints around it are the nearest that anybody can tell.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from registry_core.proofs.canonical import from_base64
from registry_core.proofs.cosignature import Cosigned, Vouching, WitnessKey
from registry_core.proofs.envelope import from_record, leaf_bytes
from registry_core.proofs.erasures import ERASABLE, NOT_ERASABLE, Erasures
from registry_core.proofs.handover import KeyChain
from registry_core.proofs.merkle import TreeHead, leaf_hash
from registry_core.proofs.note import Checkpoint, NoteError

MOST_FINDINGS = 1000
_BATCH = 4096
Entries = Callable[[int], Sequence[Mapping[str, Any]]]
"""The stored places from a log index on, some at a time: `log_index`, `leaf` (base64) and `record` or None."""
Checkpoints = Callable[[int], Sequence[str]]
"""The stored checkpoints of more than so many events, some at a time, the smallest first."""


@dataclass(frozen=True, slots=True)
class Finding:
    first: int
    last: int
    """Log indexes, both included; equal for one event."""
    event: str | None
    """The id of the event now standing there, if there is one."""
    message: str


@dataclass(slots=True)
class LiveReport:
    """What was found. `ok` means: every event up to `size` is the one that was signed."""

    size: int = 0
    events: int = 0
    erased: int = 0
    checkpoints: int = 0
    newest: str | None = None
    """The largest checkpoint that held: keep it for the next time."""
    cosigned: Sequence[Cosigned] = ()
    """Of each witness whose key was given: the largest checkpoint that it vouches for."""
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings


def verify_live(
    entries: Entries,
    checkpoints: Checkpoints,
    chain: KeyChain,
    held: Sequence[str] = (),
    progress: Callable[[int], object] = lambda _: None,
    *,
    witnesses: Sequence[WitnessKey] = (),
) -> LiveReport:
    """Read the whole log once, in flat memory. `held` are checkpoints kept from earlier, or a witness's.

    `progress` gets the events of each page. Each of `witnesses` has to have cosigned a checkpoint. What `entries` and
    `checkpoints` raise passes through.
    """
    reading = _Reading(chain, held, witnesses)
    expected = reading.expect(_all_checkpoints(checkpoints))
    due = next(expected, None)
    while due and len(reading.report.findings) < MOST_FINDINGS and (page := entries(reading.next)):
        for entry in page:
            while due and due.checkpoint.size <= reading.next:
                reading.compare(due)
                due = next(expected, None)
            if due is None:
                break
            reading.take(entry)
        progress(len(page))
    while due:
        reading.compare(due)
        due = next(expected, None)
    return reading.finish(anything=bool(entries(0)))


def _all_checkpoints(checkpoints: Checkpoints) -> Iterator[str]:
    """Every stored one. Ends where the server repeats itself."""
    size = 0
    while page := checkpoints(size):
        yield from page
        stated = _size_of(page[-1])
        if stated <= size:
            return
        size = stated


def _size_of(note: str) -> int:
    lines = note.split("\n")
    return int(lines[1]) if len(lines) > 1 and lines[1].isdecimal() and len(lines[1]) < 19 else 0


@dataclass(frozen=True, slots=True)
class _Due:
    checkpoint: Checkpoint
    note: str
    held: bool


class _Reading:
    """What is known after the places so far."""

    def __init__(self, chain: KeyChain, held: Sequence[str], witnesses: Sequence[WitnessKey]) -> None:
        self.report, self.next, self._witnesses = LiveReport(), 0, Vouching(witnesses)
        self._chain, self._tree, self._leaves = chain, TreeHead(), list[bytes]()
        self._agreed, self._broken, self._erasures = 0, False, Erasures()
        self._held = sorted(self._open_held(held), key=lambda due: due.checkpoint.size)

    def _open_held(self, notes: Sequence[str]) -> Iterator[_Due]:
        for note in notes:
            try:
                yield _Due(self._chain.open(note), note, held=True)
            except NoteError as error:
                self._find(0, 0, None, f"the checkpoint you hold: {error}")

    def expect(self, notes: Iterator[str]) -> Iterator[_Due]:
        """Stored and held checkpoints in the order of their sizes."""
        held, size = list(self._held), 0
        for note in notes:
            try:
                stored = _Due(self._chain.open(note), note, held=False)
            except NoteError as error:
                self._find(self.next, self.next, None, f"a stored checkpoint does not hold: {error}")
                continue
            if stored.checkpoint.size <= size:
                self._find(size, size, None, "the stored checkpoints are not in the order of their sizes")
            size = stored.checkpoint.size
            while held and held[0].checkpoint.size <= size:
                yield held.pop(0)
            yield stored
        yield from held

    def take(self, entry: Mapping[str, Any]) -> None:
        index: int = entry["log_index"]
        if index < self.next:
            self._find(index, index, None, "the server handed out this place twice")
            return
        if index > self.next:
            self._find(self.next, index - 1, None, "these events are missing: they were dropped from the log")
            self._broken = True
        self.next = index + 1
        leaf = from_base64(entry["leaf"])
        self._leaves.append(leaf)
        if len(self._leaves) >= _BATCH:
            self._root()
        self._check_event(index, leaf, entry["record"])

    def _check_event(self, index: int, leaf: bytes, record: dict[str, Any] | None) -> None:
        if record is None:
            self._find(index, index, None, "the event is gone: it was dropped from the store, its place is still there")
            return
        self.report.events += 1
        try:
            event = from_record(record)
            actual = leaf_hash(leaf_bytes(event))
        except ValueError as error:
            self._find(index, index, str(record.get("id")), f"the event cannot be read: {error}")
            return
        self._erasures.event(event, index)
        if event.body is None:
            self.report.erased += 1
            if event.type != ERASABLE:
                self._find(index, index, str(event.id), NOT_ERASABLE)
        elif sha256(event.body).digest() != event.body_sha256:
            self._find(index, index, str(event.id), "its body was altered: it does not have the hash that was sealed")
        if actual != leaf or event.log_index != index:
            self._find(
                index, index, str(event.id), "it is not the event that was sealed here: altered, moved or replaced"
            )

    def compare(self, due: _Due) -> None:
        size, whose = due.checkpoint.size, "you hold" if due.held else "is stored"
        if size > self.next:
            self._find(
                self.next, size - 1, None, f"the checkpoint that {whose} covers them: the log's tail was cut off"
            )
        elif size == self.next and not self._broken and self._root() != due.checkpoint.root:
            self._find(
                self._agreed, size - 1, None,
                f"one or more of them, and what was sealed of them, is not what the checkpoint that {whose} covers: "
                "the log was rewritten",
            )  # fmt: skip
            self._broken = True
        elif size == self.next and not self._broken:
            self._agreed = self.report.size = size
            self.report.newest, self.report.checkpoints = due.note, self.report.checkpoints + 1
            for message in self._witnesses.checkpoint(due.note, size):
                self._find(size - 1, size - 1, None, message)

    def finish(self, *, anything: bool) -> LiveReport:
        for index, _ in self._erasures.unnamed():
            self._find(index, index, None, "its body is gone, and no erasure in the log names it")
        if anything and not self.report.size and not self.report.findings:
            self._find(0, 0, None, "no signed checkpoint covers anything: nothing can be verified")
        for message in self._witnesses.missing():
            self._find(0, self.report.size, None, message)
        self.report.cosigned = self._witnesses.cosigned
        return self.report

    def _root(self) -> bytes:
        self._tree, _ = self._tree.append(self._leaves)
        self._leaves.clear()
        return self._tree.root

    def _find(self, first: int, last: int, event: str | None, message: str) -> None:
        if len(self.report.findings) < MOST_FINDINGS:
            self.report.findings.append(Finding(first, last, event, message))
