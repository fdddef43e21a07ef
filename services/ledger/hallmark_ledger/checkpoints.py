"""Signs the log's head, and rotates the key that does."""

import asyncio
from typing import Protocol

import structlog
from registry_core.events.governance import CheckpointKeyRotated
from registry_core.http.caller import Caller, Written
from registry_core.problems import Problem
from registry_core.proofs.handover import sign_handover
from registry_core.proofs.merkle import ProofError
from registry_core.proofs.note import sign_checkpoint
from registry_core.proofs.tiles import plan_head, rebuild_head
from registry_core.store.connections import TRANSIENT, Connection, Pool
from registry_core.store.sealer import DAMAGED
from registry_core.store.tiles import read_entries
from registry_core.telemetry import CHECKPOINTS, KEY_TROUBLE

from hallmark_ledger import log
from hallmark_ledger.keys import STREAM, KeyFolder, Keys, KeyTroubleError, Rotations

logger = structlog.get_logger()


class Witnesses(Protocol):
    """Who is asked before, and told after (`witnessing.Witnesses`)."""

    async def agree(self) -> None:
        """Return once each was asked and none contradicts the log; wait until then."""
        ...

    async def check(self) -> None:
        """Ask those that were not asked yet. Raises Problem while one contradicts the log."""
        ...

    def wake(self) -> None:
        """There is a new checkpoint."""
        ...


class Checkpointer:
    """Signs whenever the log has grown, at most every `seconds`, unless a witness contradicts the log."""

    def __init__(self, pool: Pool, keys: KeyFolder, seconds: float, witnesses: Witnesses) -> None:
        self._pool, self._keys, self._seconds, self._witnesses = pool, keys, seconds, witnesses

    @property
    def origin(self) -> str:
        return self._keys.origin

    async def run(self) -> None:
        while True:
            await self._witnesses.agree()
            try:
                await self.sign()
            except TRANSIENT as error:
                logger.warning("checkpoint waits", reason=repr(error))
                self._witnesses.wake()  # the answer to the commit may be all that was lost
            except Problem as error:
                logger.critical("nothing is signed", reason=error.detail, fix=error.fix)
            except ProofError as error:  # somebody took hashes out of the stored tree; whoever verifies needs an answer
                logger.critical("nothing is signed", reason=str(error), fix=DAMAGED)
            await asyncio.sleep(self._seconds)

    async def sign(self) -> str | None:
        """Sign the head as it is now; the note, or None when the log is as long as at the last checkpoint.

        Raises KeyTroubleError, and Problem where a witness contradicts the log.
        """
        await self._witnesses.check()
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute("select log.lock_checkpoints()")
            note = await self._sign(connection)
        if note:
            CHECKPOINTS.inc()
            self._witnesses.wake()
        return note

    async def _sign(self, connection: Connection) -> str | None:
        size = await log.log_size(connection)
        largest = await log.largest_checkpoint(connection)
        if size <= (largest.size if largest else 0):
            return None
        keys = await self.keys(connection)
        root = await root_at(connection, size)
        note = sign_checkpoint(self._keys.origin, size, root, *keys.signers)
        await connection.execute("select log.add_checkpoint($1, $2, $3)", size, root, note)
        return note

    async def keys(self, connection: Connection | Pool | None = None) -> Keys:
        """The keys in force. Raises KeyTroubleError."""
        try:
            keys = await self._keys.open(connection or self._pool)
        except KeyTroubleError:
            KEY_TROUBLE.set(1)
            raise
        KEY_TROUBLE.set(0)
        return keys

    async def rotate(self, caller: Caller, reason: str) -> Written:
        """Make a new key; the old one vouches for it, in the log. Raises Problem."""
        await self._witnesses.check()
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute("select log.lock_checkpoints()")  # so that the old key signs nothing meanwhile
            old = (await self.keys(connection)).current
            newest = await log.latest_checkpoint(connection, self.origin)
            new = await asyncio.to_thread(self._keys.make)
            size = newest.size if newest else 0
            handover = sign_handover(old.name, size, old, new)
            event = CheckpointKeyRotated(
                origin=old.name, previous=old.vkey, vkey=new.vkey, size=size, handover=handover, reason=reason
            )
            written = await caller.decide(STREAM, Rotations(), lambda _: [event])
        logger.info("the checkpoint key was rotated", previous=old.vkey, vkey=new.vkey, size=size)
        return written


async def root_at(connection: Connection | Pool, size: int) -> bytes:
    """The root of the tree of the first `size` events."""
    return rebuild_head(size, await read_entries(connection, plan_head(size).reads)).root
