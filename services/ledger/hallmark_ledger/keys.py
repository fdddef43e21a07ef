"""The key that signs this log's checkpoints: which one is told by the log itself, never by what files there are.

A key that is missing, unreadable or another one than the log's is never replaced silently: two keys would be two logs
to whoever verifies. Nothing is signed until the right file is back; sealing and everything else goes on.

Every service can append to the stream of the rotations. So one counts only if the key in force signed it, beginning
with the key that signed the first checkpoint, which the ledger alone can store.

A log that lost events can only go on as another log (docs/backup.md), under another origin and with another key. That
begins when both were changed on purpose: the origin in the settings, and the old key's file moved out of the folder.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from registry_core.events import RecordedEvent
from registry_core.events.governance import CheckpointKeyRotated
from registry_core.handlers import fold
from registry_core.problems import Problem
from registry_core.proofs.handover import Handover, open_handover
from registry_core.proofs.keys import KeyFileError, generate_key, load_key, load_or_generate_key
from registry_core.proofs.note import NoteError, Signer, Verifier, open_checkpoint
from registry_core.store.connections import Connection, Pool
from registry_core.store.postgres import read_streams

from hallmark_ledger import log

STREAM = "log:keys"
"""Of the events that rotate the key."""


class KeyTroubleError(Problem):
    """No key of this log is at hand. HTTP 503."""

    def __init__(self, detail: str, fix: str) -> None:
        super().__init__(503, "no-checkpoint-key", detail, fix=fix)


@dataclass(frozen=True, slots=True)
class LogKey:
    """A key of the log and the sizes of the checkpoints that it signs."""

    vkey: str
    from_size: int
    to_size: int | None


@dataclass(frozen=True, slots=True)
class Rotations:
    """State of the stream `log:keys`."""

    version: int = -1
    events: tuple[CheckpointKeyRotated, ...] = ()

    def evolve(self, event: RecordedEvent) -> "Rotations":
        try:
            more = (event.data,) if isinstance(event.data, CheckpointKeyRotated) else ()
        except ValueError:  # bytes that are no such event
            more = ()
        return Rotations(event.version, (*self.events, *more))


@dataclass(frozen=True, slots=True)
class Keys:
    """What there is to sign with now, and how it came about."""

    signers: tuple[Signer, ...]
    """The current key; behind it the old one until the first checkpoint after a rotation is signed by both."""
    rotations: tuple[CheckpointKeyRotated, ...]

    @property
    def current(self) -> Signer:
        return self.signers[0]

    @property
    def history(self) -> list[LogKey]:
        """Every key of the log, the oldest first."""
        first = self.rotations[0].previous if self.rotations else self.current.vkey
        vkeys = [first, *(rotation.vkey for rotation in self.rotations)]
        sizes = [rotation.size for rotation in self.rotations]
        starts, ends = [0, *(size + 1 for size in sizes)], [*sizes, None]
        return [LogKey(*row) for row in zip(vkeys, starts, ends, strict=True)]

    @property
    def handovers(self) -> list[str]:
        return [rotation.handover for rotation in self.rotations]


class KeyFolder:
    """The key files `ledger*.pem` of one installation."""

    def __init__(self, folder: Path, origin: str) -> None:
        self.folder, self.origin = folder, origin

    async def open(self, connection: Connection | Pool) -> Keys:
        """The keys in force. Makes the first one of a log that was never signed. Raises KeyTroubleError."""
        found = await asyncio.to_thread(self._load)
        rotations = await self._rotations(connection, [signer.vkey for signer in found])
        newest = await log.latest_checkpoint(connection, self.origin)
        if not rotations and newest is None:
            await self._refuse_another_logs_key(connection)
            return Keys((await asyncio.to_thread(self._first),), ())
        signed = [signer for signer in found if newest and _signed(newest.note, signer)]
        current = [signer for signer in found if signer.vkey == rotations[-1].vkey] if rotations else signed
        if not current:
            raise self._missing(rotations[-1].vkey if rotations else None)
        old = [signer for signer in signed if signer.vkey != current[0].vkey]
        due = bool(rotations) and current[0] not in signed  # the first checkpoint of a new key carries both signatures
        return Keys((current[0], *(old if due else ())), rotations)

    async def _rotations(self, connection: Connection | Pool, own: Sequence[str]) -> tuple[CheckpointKeyRotated, ...]:
        stated = fold(Rotations(), (await read_streams(connection, [STREAM]))[STREAM]).events
        first = await log.checkpoints_over(connection, self.origin, -1, 1) if stated else []
        for checkpoint in first:
            own = [r.previous for r in stated if _signed_by(checkpoint.note, r.previous, self.origin)]
        return those_that_hold(stated, self.origin, begun_by=own)

    async def _refuse_another_logs_key(self, connection: Connection | Pool) -> None:
        """So that nobody renames a log by a setting alone."""
        before = await log.largest_checkpoint(connection)
        if before and any(_signed(before.note, key) for key in await asyncio.to_thread(self._load, before.origin)):
            raise KeyTroubleError(
                f"this log was signed as {before.origin} until now, and HALLMARK_CHECKPOINT_ORIGIN is {self.origin}; "
                "nothing is signed",
                "change HALLMARK_CHECKPOINT_ORIGIN back; only if events were lost for good: docs/backup.md tells how "
                "the log goes on as another one",
            )

    def make(self) -> Signer:
        """A new key in a file of its own."""
        draft = self.folder / "ledger-new.pem"
        draft.unlink(missing_ok=True)  # of an attempt that did not get as far as the log
        signer = Signer(self.origin, generate_key(draft))
        draft.rename(self.folder / f"ledger-{signer.key_id.hex()}.pem")
        return signer

    def _first(self) -> Signer:
        try:
            return Signer(self.origin, load_or_generate_key(self.folder / "ledger.pem"))
        except (KeyFileError, OSError) as error:
            raise self._unreadable(error) from error

    def _load(self, name: str = "") -> list[Signer]:
        try:
            return [Signer(name or self.origin, load_key(path)) for path in sorted(self.folder.glob("ledger*.pem"))]
        except (KeyFileError, OSError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> KeyTroubleError:
        return KeyTroubleError(f"a checkpoint key cannot be read: {error}", f"mend or remove the file in {self.folder}")

    def _missing(self, vkey: str | None) -> KeyTroubleError:
        return KeyTroubleError(
            f"none of the keys in {self.folder} is {vkey or 'the one that signed the newest checkpoint'} "
            f"of {self.origin}; nothing is signed, so that the log is not forked",
            "restore the key file from its backup",
        )


def those_that_hold(
    stated: Iterable[CheckpointKeyRotated], origin: str, begun_by: Collection[str]
) -> tuple[CheckpointKeyRotated, ...]:
    """The rotations of the log of this name, the oldest first: each signed by the key in force and by the new one.

    `begun_by`: vkeys, any of which may be the log's first. What does not hold is passed over: it stays in the log.
    """
    held = list[CheckpointKeyRotated]()
    for rotation in stated:
        before = [held[-1].vkey] if held else begun_by
        if rotation.origin == origin and rotation.previous in before and _is_signed(rotation):
            held.append(rotation)
    return tuple(held)


def _is_signed(rotation: CheckpointKeyRotated) -> bool:
    """Whether its handover holds, and says what the event says."""
    try:
        stated = open_handover(rotation.handover, rotation.origin)
    except NoteError:
        return False
    return stated == Handover(rotation.origin, rotation.previous, rotation.vkey, rotation.size)


def _signed(note: str, signer: Signer) -> bool:
    return _signed_by(note, signer.vkey, signer.name)


def _signed_by(note: str, vkey: str, origin: str) -> bool:
    try:
        open_checkpoint(note, [Verifier(vkey)], origin)
    except NoteError:
        return False
    return True


def vkeys(history: Sequence[LogKey]) -> tuple[str, ...]:
    """The newest first, as a reader should try them."""
    return tuple(key.vkey for key in reversed(history))
