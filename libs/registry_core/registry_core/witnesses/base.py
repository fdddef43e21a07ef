"""What a witness is to the ledger, and what the log is to a witness."""

from collections.abc import Sequence
from typing import Protocol

from registry_core.proofs.note import Checkpoint, NoteError, parse_checkpoint


class WitnessAwayError(Exception):
    """It cannot be reached or refuses for a reason that may pass: try again."""


class WitnessConflictError(Exception):
    """It holds a checkpoint that contradicts this log: one of the two was rewritten. Nothing passes by waiting."""


class LogView(Protocol):
    """The log as the ledger would prove it now."""

    async def root(self, size: int) -> bytes:
        """Of the first `size` events, at most as many as are sealed."""
        ...

    async def consistency(self, old: int, new: int) -> Sequence[bytes]:
        """That the tree of `new` events extends that of `old`. Raises ProofError."""
        ...


class Witness(Protocol):
    @property
    def url(self) -> str: ...

    async def keep(self, size: int, note: str, log: LogView) -> None:
        """Keep a checkpoint, after comparing it with what is held. Raises WitnessAwayError, WitnessConflictError."""
        ...

    async def newest(self) -> str | None:
        """The largest checkpoint it holds, as a signed note. Raises WitnessAwayError."""
        ...


def stated(note: str) -> Checkpoint:
    """What a note says, whoever signed it. Raises NoteError."""
    text, blank, _ = note.rpartition("\n\n")
    if not blank:
        raise NoteError("no signed note: a blank line stands before the signatures")
    return parse_checkpoint(f"{text}\n")


async def compare(url: str, held: str, size: int, note: str, log: LogView) -> None:
    """That what a witness holds is of this log and not ahead of it. Raises WitnessConflictError."""
    try:
        theirs, ours = stated(held), stated(note)
    except NoteError as error:
        raise WitnessConflictError(f"{url} holds what is no checkpoint: {error}") from error
    if theirs.origin != ours.origin:
        raise WitnessConflictError(f"{url} holds checkpoints of the log {theirs.origin!r}, not of {ours.origin!r}")
    if theirs.size > size:
        raise WitnessConflictError(
            f"{url} holds a checkpoint of {theirs.size} events, this log has signed {size}: its tail was cut off"
        )
    if theirs.root != await log.root(theirs.size):
        raise WitnessConflictError(
            f"{url} holds another root for the first {theirs.size} events than this log has: it was rewritten"
        )
