"""How a log's key is handed over to the next: a note that both keys sign, and the chain of keys it makes.

    hallmark key-handover/v1
    origin <the log's origin>
    old <vkey>
    new <vkey>
    size <of the last checkpoint that the old key signed alone>

A checkpoint with two signatures would not do by itself: signature lines are not signed, so anybody may add one of a
key of theirs. This text names the new key, and the old key signs it (docs/decisions/0013).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from registry_core.proofs.note import Checkpoint, NoteError, Signer, Verifier, open_checkpoint, open_note, sign_note

FORMAT = "hallmark key-handover/v1"


@dataclass(frozen=True, slots=True)
class Handover:
    origin: str
    old: str
    new: str
    size: int
    """The old key's checkpoints reach to this size; the new key signs those that are larger."""


def sign_handover(origin: str, size: int, old: Signer, new: Signer) -> str:
    """The note, signed by both keys. Raises NoteError for an origin that is no line."""
    text = f"{FORMAT}\norigin {origin}\nold {old.vkey}\nnew {new.vkey}\nsize {size}\n"
    if _parse(text) != Handover(origin, old.vkey, new.vkey, size):
        raise NoteError("the origin is one line, and both keys carry it as their name")
    return sign_note(text, old, new)


def open_handover(note: str, origin: str) -> Handover:
    """What a note says that both of its keys signed. Raises NoteError for anything else."""
    stated = _parse(note.rpartition("\n\n")[0] + "\n")
    keys = [Verifier(stated.old), Verifier(stated.new)]
    if stated.origin != origin or {key.name for key in keys} != {origin}:
        raise NoteError(f"the handover is of the log {stated.origin[:100]!r}, not of {origin!r}")
    opened = open_note(note, keys)
    if len(opened.signed_by) != len(keys) or _parse(opened.text) != stated:
        raise NoteError("the handover is not signed by both of its keys")
    return stated


def _parse(text: str) -> Handover:
    lines = text.split("\n")
    names = [line.partition(" ")[0] for line in lines[1:]]
    if lines[0] != FORMAT or names != ["origin", "old", "new", "size", ""]:
        raise NoteError(f"not a {FORMAT}")
    origin, old, new, size = (line.partition(" ")[2] for line in lines[1:-1])
    if not (size.isascii() and size.isdecimal() and size == str(int(size))):
        raise NoteError(f"the handover's size {size[:40]!r} is not a decimal number without leading zeros")
    return Handover(origin, old, new, int(size))


class KeyChain:
    """The keys of one log that a verifier trusts: those it brought, and those that handovers connect with them.

    A handover is signed by both keys, so it leads from either to the other. Each key counts for the sizes it signed.
    """

    def __init__(self, origin: str, trusted: Iterable[str]) -> None:
        """Raises NoteError for a malformed vkey."""
        self.origin = origin
        self._verifiers = {vkey: Verifier(vkey) for vkey in trusted}
        self._first: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self._waiting: list[Handover] = []

    @property
    def verifiers(self) -> Sequence[Verifier]:
        return tuple(self._verifiers.values())

    def add(self, note: str) -> None:
        """Take a handover into account, in any order. Raises NoteError for one that does not hold."""
        self._waiting.append(open_handover(note, self.origin))
        while connected := [h for h in self._waiting if h.old in self._verifiers or h.new in self._verifiers]:
            for handover in connected:
                self._connect(handover)

    def _connect(self, handover: Handover) -> None:
        self._waiting.remove(handover)
        for vkey in (handover.old, handover.new):
            self._verifiers.setdefault(vkey, Verifier(vkey))
        self._last[handover.old] = min(handover.size, self._last.get(handover.old, handover.size))
        self._first[handover.new] = max(handover.size + 1, self._first.get(handover.new, 0))

    def counts(self, vkey: str, size: int) -> bool:
        """Whether this key's word holds for a log of that size."""
        return self._first.get(vkey, 0) <= size <= self._last.get(vkey, size)

    def open(self, note: str) -> Checkpoint:
        """A checkpoint, signed by a key that counts at its size. Raises NoteError."""
        checkpoint = open_checkpoint(note, self.verifiers, self.origin)
        signers = [key for key in open_note(note, self.verifiers).signed_by if key.name == self.origin]
        if not any(self.counts(key.vkey, checkpoint.size) for key in signers):
            raise NoteError(
                f"the checkpoint of {checkpoint.size} events is signed by a key of this log that does not count there: "
                "it had been handed over to another, or was not yet in force"
            )
        return checkpoint
