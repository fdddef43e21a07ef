"""Verifies a pack offline, in flat memory, and never raises on what it reads."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import BinaryIO

from registry_core.proofs.canonical import take
from registry_core.proofs.cosignature import Vouching, WitnessKey
from registry_core.proofs.dsse import verify
from registry_core.proofs.erasures import ERASABLE, NOT_ERASABLE, Erasures
from registry_core.proofs.handover import KeyChain
from registry_core.proofs.keys import key_id, public_from_base64
from registry_core.proofs.note import Checkpoint, NoteError, Verifier, open_note
from registry_core.proofs.pack.lines import (
    BlobItem,
    CheckpointItem,
    DecisionItem,
    EndItem,
    EventItem,
    HandoverItem,
    Header,
    Item,
    LineError,
    end_text,
    read_line,
)
from registry_core.proofs.pack.order import EventOrder, ProvenEvents, WholeLog
from registry_core.proofs.pack.reading import read_batches
from registry_core.proofs.pack.report import Problem, Report, describe
from registry_core.proofs.pack.signatures import DECIDER, Signatures
from registry_core.proofs.plain_event import Run

MOST_PROBLEMS = 100
_LONGEST_MESSAGE = 400


def verify_pack(
    stream: BinaryIO,
    trusted: Sequence[str] = (),
    held_checkpoint: str | None = None,
    progress: Callable[[int], None] | None = None,
    processes: int = 1,
    *,
    witnesses: Sequence[WitnessKey] = (),
) -> Report:
    """Check every line of a pack and report all problems, up to MOST_PROBLEMS.

    `trusted` are the vkeys of the log that the verifier knows from elsewhere. `held_checkpoint` is a signed checkpoint
    kept from earlier: a log export has to contain that very tree, and without `trusted` everything has to be signed by
    the key that signed it. Without either the keys that the pack states are used, and the report says `first_use`.
    `progress` gets the bytes read since it was last called. More `processes` than one are worth their start for exports
    of a hundred megabytes or more. Each of `witnesses` has to have cosigned a checkpoint in it. Only reading `stream`
    may raise.
    """
    verification = _Verification(trusted, held_checkpoint, Vouching(witnesses))
    for lines, run in read_batches(stream, processes):
        verification.take_all(lines, run)
        if progress:
            progress(sum(map(len, lines)))
        if verification.stopped:
            break
    return verification.report()


class _Verification:
    """What is known after the lines so far."""

    def __init__(self, trusted: Sequence[str], held_checkpoint: str | None, witnesses: Vouching) -> None:
        self._witnesses = witnesses
        self._problems: list[Problem] = []
        self._line, self._raw, self._due, self._hash = 0, b"", 1, sha256()
        self._counts = Counter[str]()
        self._first_use, self._held_note = not trusted, held_checkpoint
        self._chain = KeyChain("", [])
        self._trusted = self._parse_keys(trusted, 0, "trusted key")
        self._header: Header | None = None
        self._order: EventOrder | None = None
        self._erasures, self._signatures = Erasures(), Signatures()
        self._checkpoint: str | None = None
        self._signed_by: tuple[str, ...] = ()
        self._ended = False

    @property
    def stopped(self) -> bool:
        return len(self._problems) >= MOST_PROBLEMS

    def take_all(self, lines: Sequence[bytes], run: Run | None) -> None:
        """Take lines, at once if they are the run of events that is due: a log export is little else."""
        order = None if self._ended else self._order
        if run and order and run.first_line == self._due and order.run(run):
            self._line, self._due = self._line + len(lines), self._due + len(lines)
            self._counts["event"] += len(lines)
            self._hash.update(b"".join(lines))
            return
        for raw in lines:
            self.take(raw)
            if self.stopped:
                return

    def take(self, raw: bytes) -> None:
        self._line, self._raw = self._line + 1, raw
        try:
            number, item = read_line(raw)
        except LineError as error:
            self._damaged(str(error))
            number = self._due
        else:
            self._check_place(number, item)
            self._check(item)
        self._due = number + 1
        self._hash.update(raw)

    def report(self) -> Report:
        if not self._ended and not self.stopped:
            self._problem_at(self._line + 1, "end", "the signed end is missing: the file is empty or was cut off")
        header = self._header
        return Report(
            kind=header.kind if header else None,
            subject=header.subject if header else None,
            origin=header.origin if header else None,
            events=self._counts["event"],
            blobs=self._counts["blob"],
            decisions=self._counts["decision"],
            erased=self._counts["erased"],
            checkpoint=self._checkpoint,
            cosigned=self._witnesses.cosigned,
            signed_by=self._signed_by,
            first_use=self._first_use,
            problems=tuple(self._problems),
            remarks=tuple(self._remarks()),
        )

    def _check_place(self, number: int, item: Item) -> None:
        if number != self._due:
            self._damaged(
                f"it says it is line {number} where line {self._due} is due: lines are missing, doubled or moved"
            )
        if self._ended:
            self._damaged("it stands behind the end of the pack")
        if isinstance(item, Header) != (self._line == 1):
            self._damaged("a pack has one header, on its first line")

    def _check(self, item: Item) -> None:
        match item:
            case Header():
                self._check_header(item)
            case EventItem():
                self._check_event(item)
            case BlobItem(data, _, digest):
                self._counts["blob"] += 1
                if digest != f"sha256:{sha256(data).hexdigest()}":
                    self._problem("its bytes do not have this digest")
            case CheckpointItem(note):
                self._check_checkpoint(note)
            case HandoverItem(note):
                self._check_handover(note)
            case DecisionItem():
                self._check_decision(item)
            case EndItem():
                self._check_end(item)

    def _check_header(self, header: Header) -> None:
        if self._header:
            return
        self._header = header
        trusted = self._parse_keys(header.vkeys, self._line, "header") if self._first_use else self._trusted
        self._chain = KeyChain(header.origin, trusted)
        held = self._open_held(header.origin)
        self._order = WholeLog(held) if header.kind == "log" else ProvenEvents(held)

    def _check_event(self, item: EventItem) -> None:
        event = item.event
        self._counts["event"] += 1
        if event.body is None:
            self._counts["erased"] += 1
        elif sha256(event.body).digest() != event.body_sha256:
            self._problem("its body does not have the hash that the log holds")
        if event.body is None and event.type != ERASABLE:
            self._problem(NOT_ERASABLE)
        self._erasures.event(event, self._line)
        if self._order and event.log_index is not None:
            self._problems_of(self._order.event(item, event.log_index))
        if self._header and self._header.kind == "evidence":
            self._problems_of(self._signatures.event(event))

    def _check_handover(self, note: str) -> None:
        try:
            self._chain.add(note)
        except NoteError as error:
            self._damaged(str(error))

    def _check_checkpoint(self, note: str) -> None:
        if not self._header or not self._order:
            return
        try:
            checkpoint = self._chain.open(note)
        except NoteError as error:
            self._damaged(str(error))
            return
        if not self._problems_of(self._order.checkpoint(checkpoint)) and not self._order.broken:
            self._checkpoint = note
            self._problems_of(self._witnesses.checkpoint(note, checkpoint.size))

    def _check_decision(self, item: DecisionItem) -> None:
        self._counts["decision"] += 1
        try:
            keys = {key_id(key): key for key in map(public_from_base64, item.keys)}
            if not item.keys or len(keys) != len(item.keys):
                raise ValueError("it names no key, or one twice")  # noqa: TRY301 - one message for every reason
            verify(item.envelope, take(item.envelope, "payloadType", str), keys, threshold=len(keys))
        except ValueError as error:
            self._problem(f"the decision's signature does not hold: {error}")
        else:
            self._problems_of(self._signatures.decision(item.envelope, keys.values()))

    def _check_end(self, item: EndItem) -> None:
        self._ended = True
        if item.lines != self._line - 1:
            self._problem(f"it counts {item.lines} lines before it, there are {self._line - 1}")
        if item.sha256 != self._hash.hexdigest():
            self._problem("the bytes before it are not those that were signed")
        if self._order:
            self._problems_of(self._order.end())
        for what in self._witnesses.missing():
            self._problem_at(0, "witness", what)
        if self._header and self._header.kind == "log":
            for line, what in self._erasures.unnamed():
                self._problem_at(line, what, "its body is gone, and no erasure in the log names it")
        if self._header:
            self._check_signature(item, self._header.origin)

    def _check_signature(self, item: EndItem, origin: str) -> None:
        try:
            note = open_note(f"{end_text(item.lines, item.sha256)}\n{item.signature}", self._chain.verifiers)
        except NoteError as error:
            self._problem(f"the signature of the whole file does not hold: {error}")
            return
        self._signed_by = tuple(verifier.vkey for verifier in note.signed_by if verifier.name == origin)
        if not self._signed_by:
            self._problem(f"the file is signed, but not by the log {origin!r} that it claims to come from")

    def _open_held(self, origin: str) -> Checkpoint | None:
        if self._held_note is None:
            return None
        try:
            held = self._chain.open(self._held_note)
            signers = open_note(self._held_note, self._chain.verifiers).signed_by
        except NoteError as error:
            self._problem_at(0, "held checkpoint", str(error))
            return None
        if self._first_use:  # a file may state any keys besides; the holder knows this one
            self._chain = KeyChain(origin, [verifier.vkey for verifier in signers if verifier.name == origin])
            self._first_use = False
        return held

    def _parse_keys(self, vkeys: Sequence[str], line: int, what: str) -> list[str]:
        """Those that are vkeys."""
        good = []
        for vkey in vkeys:
            try:
                good.append(Verifier(vkey).vkey)
            except NoteError as error:
                self._problem_at(line, what, str(error))
        return good

    def _damaged(self, message: str) -> None:
        """A problem behind which the root can no longer be compared."""
        self._problem(message)
        if self._order:
            self._order.broken = True

    def _problems_of(self, messages: Iterator[str]) -> bool:
        """Note them; whether there were any."""
        found = False
        for message in messages:
            found = True
            self._problem(message)
        return found

    def _problem(self, message: str) -> None:
        self._problem_at(self._line, describe(self._raw, self._line), message)

    def _problem_at(self, line: int, what: str, message: str) -> None:
        if len(self._problems) < MOST_PROBLEMS:
            self._problems.append(Problem(line, what, message[:_LONGEST_MESSAGE]))

    def _remarks(self) -> Iterator[str]:
        if self._first_use:
            yield (
                "trusted on first use: no trusted key was given, so the file was checked with the keys that it states "
                "itself; compare signed_by with the log's key as you know it from elsewhere"
            )
        if erased := self._counts["erased"]:
            yield f"{erased} events have an erased body: what they said is gone, that they were recorded is proven"
        if self._counts["decision"]:
            keys = ", ".join(self._signatures.decision_keys)
            yield f"decisions were checked with the keys that the log registers for {DECIDER}: {keys}"
        if self._order and self._order.broken:
            yield "something is damaged or missing, so not everything behind it could be compared with a signed root"
        if self.stopped:
            yield f"stopped after {MOST_PROBLEMS} problems; there may be more"
