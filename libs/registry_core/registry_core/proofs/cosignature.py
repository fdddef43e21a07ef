"""A witness's signature on a checkpoint, with its time (C2SP tlog-cosignature, Ed25519: `cosignature/v1`).

It says: at that time this was the largest tree of this log that the witness had seen, and it extends all it saw before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Final

from registry_core.proofs.canonical import to_base64
from registry_core.proofs.note import NoteError, Verifier, open_note, parse_line, split_note

COSIGNATURE: Final = b"\x04"
_TIME: Final = 8
"""Bytes, big-endian, before the 64 of the signature: POSIX seconds."""


class WitnessKey(Verifier):
    """A witness's trusted key: a vkey of type 04."""

    algorithm: ClassVar[bytes] = COSIGNATURE
    _expects: ClassVar[str] = "a witness's is one for cosignatures with Ed25519 (04)"

    def verifies(self, message: bytes, signature: bytes) -> bool:
        seconds = int.from_bytes(signature[:_TIME])
        return super().verifies(cosigned_message(message, seconds), signature[_TIME:])


@dataclass(frozen=True, slots=True)
class Cosignature:
    """One that was verified."""

    witness: str
    """Name of the key."""
    vkey: str
    at: datetime
    line: str
    """The note's signature line, with its newline."""


@dataclass(frozen=True, slots=True)
class Cosigned:
    """What a witness vouches for."""

    witness: str
    size: int
    """Events of the largest checkpoint that it cosigned."""
    at: datetime


class Vouching:
    """What each given witness vouches for, checkpoint by checkpoint. Both methods tell what is wrong, as text."""

    def __init__(self, witnesses: Sequence[WitnessKey]) -> None:
        self._witnesses, self._found = witnesses, dict[str, Cosigned]()

    @property
    def cosigned(self) -> tuple[Cosigned, ...]:
        return tuple(self._found.values())

    def checkpoint(self, note: str, size: int) -> Iterator[str]:
        """One that holds. Sizes ascend."""
        if not self._witnesses:
            return
        try:
            for cosignature in cosignatures(note, self._witnesses):
                self._found[cosignature.vkey] = Cosigned(cosignature.witness, size, cosignature.at)
        except NoteError as error:
            yield f"a cosignature of the checkpoint of {size} events does not hold: {error}"

    def missing(self) -> Iterator[str]:
        """At the end."""
        for witness in self._witnesses:
            if witness.vkey not in self._found:
                yield f"no checkpoint here is cosigned by the witness {witness.vkey}"


def cosigned_message(text: bytes, seconds: int) -> bytes:
    """What a witness signs of a checkpoint's text."""
    return b"cosignature/v1\ntime %d\n%b" % (seconds, text)


def cosignatures(note: str, witnesses: Sequence[WitnessKey]) -> list[Cosignature]:
    """Those of the given witnesses; lines of other keys are not looked at.

    Raises NoteError for no note, and when a line of one of these keys does not hold.
    """
    _, lines = split_note(note)
    found = list(_known(lines, witnesses))
    if found:
        open_note(note, witnesses)
    return found


def _known(lines: Sequence[str], witnesses: Sequence[WitnessKey]) -> Iterator[Cosignature]:
    keys = {(witness.name, witness.key_id): witness for witness in witnesses}
    for name, key_id, signature in map(parse_line, lines):
        if key := keys.get((name, key_id)):
            line = f"— {name} {to_base64(key_id + signature)}\n"
            yield Cosignature(name, key.vkey, _time(name, signature), line)


def _time(name: str, signature: bytes) -> datetime:
    try:
        return datetime.fromtimestamp(int.from_bytes(signature[:_TIME]), UTC)
    except (ValueError, OverflowError, OSError):
        raise NoteError(f"the cosignature of {name} has a time that is no date") from None
