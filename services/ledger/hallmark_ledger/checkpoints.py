"""Signs the log's head, and rotates the key that does."""

import asyncio
from collections.abc import Callable

import structlog
from registry_core.events.governance import CheckpointKeyRotated
from registry_core.http.caller import Caller, Written
from registry_core.proofs.handover import sign_handover
from registry_core.proofs.note import sign_checkpoint
from registry_core.proofs.tiles import merge_reads, plan_head, rebuild_head
from registry_core.store.connections import TRANSIENT, Connection, Pool
from registry_core.store.tiles import read_entries
from registry_core.telemetry import CHECKPOINTS, KEY_TROUBLE

from hallmark_ledger import log
from hallmark_ledger.keys import STREAM, KeyFolder, Keys, KeyTroubleError, Rotations

logger = structlog.get_logger()


class Checkpointer:
    """Signs whenever the log has grown, at most every `seconds`; `signed` is called after each."""

    def __init__(self, pool: Pool, keys: KeyFolder, seconds: float, signed: Callable[[], None]) -> None:
        self._pool, self._keys, self._seconds, self._signed = pool, keys, seconds, signed

    async def run(self) -> None:
        while True:
            try:
                await self.sign()
            except TRANSIENT as error:
                logger.warning("checkpoint waits", reason=repr(error))
            except KeyTroubleError as error:
                logger.critical("nothing is signed", reason=error.detail, fix=error.fix)
            await asyncio.sleep(self._seconds)

    async def sign(self) -> str | None:
        """Sign the head as it is now; the note, or None when the log is as long as at the last checkpoint.

        Raises KeyTroubleError.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute("select log.lock_checkpoints()")
            note = await self._sign(connection)
        if note:
            CHECKPOINTS.inc()
            self._signed()
        return note

    async def _sign(self, connection: Connection) -> str | None:
        size = await log.log_size(connection)
        newest = await log.latest_checkpoint(connection)
        if size <= (newest.size if newest else 0):
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
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute("select log.lock_checkpoints()")  # so that the old key signs nothing meanwhile
            old = (await self.keys(connection)).current
            newest = await log.latest_checkpoint(connection)
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
    return rebuild_head(size, await read_entries(connection, merge_reads([plan_head(size)]))).root
