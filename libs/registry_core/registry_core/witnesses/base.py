"""What a witness is to the ledger, and what the log is to a witness."""

from collections.abc import Sequence
from typing import Protocol

from registry_core.proofs.cosignature import Cosignature
from registry_core.proofs.note import Checkpoint, NoteError, parse_checkpoint


class WitnessAwayError(Exception):
    """It cannot be reached or refuses for a reason that may pass: try again."""


class CosignatureError(WitnessAwayError):
    """It took the checkpoint, and its answer is no cosignature by the key that is configured for it."""


class WitnessConflictError(Exception):
    """It holds what is no checkpoint of this log. Nothing passes by waiting."""


class LogContradictedError(WitnessConflictError):
    """It holds a checkpoint of this log that the log does not contain: the log lost its tail or was rewritten.

    Whatever the ledger signed from here on could be a second history of the same log.
    """


class LogView(Protocol):
    """The log as the ledger would prove it now."""

    async def size(self) -> int:
        """How many events are sealed."""
        ...

    async def root(self, size: int) -> bytes:
        """Of the first `size` events, at most as many as are sealed."""
        ...

    async def consistency(self, old: int, new: int) -> Sequence[bytes]:
        """That the tree of `new` events extends that of `old`. Raises ProofError."""
        ...


class Witness(Protocol):
    @property
    def url(self) -> str: ...

    async def keep(self, size: int, note: str, log: LogView) -> Sequence[Cosignature]:
        """Keep a checkpoint, after comparing the log with what is held; the witness's cosignatures, if it makes any.

        Raises WitnessAwayError, CosignatureError, WitnessConflictError, LogContradictedError.
        """
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


async def compare(url: str, held: str, origin: str, log: LogView) -> None:
    """That the log contains what a witness holds. Raises WitnessConflictError, LogContradictedError."""
    try:
        theirs = stated(held)
    except NoteError as error:
        raise WitnessConflictError(f"{url} holds what is no checkpoint: {error}") from error
    if theirs.origin != origin:
        raise WitnessConflictError(f"{url} holds checkpoints of the log {theirs.origin!r}, not of {origin!r}")
    if theirs.size > (size := await log.size()):
        raise cut_off(url, theirs.size, size)
    if theirs.root != await log.root(theirs.size):
        raise LogContradictedError(
            f"{url} holds another root for the first {theirs.size} events than this log has: it was rewritten"
        )


def cut_off(url: str, held: int, size: int) -> LogContradictedError:
    return LogContradictedError(f"{url} holds a checkpoint of {held} events, this log has {size}: its tail was cut off")
