"""Signs the log's head and hands it to places outside the database's reach."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import structlog
from registry_core.proofs.note import Signer, sign_checkpoint
from registry_core.proofs.tiles import merge_reads, plan_head, rebuild_head
from registry_core.store.postgres import TRANSIENT, Pool
from registry_core.store.tiles import read_entries

log = structlog.get_logger()


class Witness(Protocol):
    """Keeps checkpoints where an operator of the database cannot rewrite them."""

    async def keep(self, size: int, note: str) -> None:
        """Keep a signed note. Raises OSError; it is tried again with the next checkpoint."""
        ...


class FolderWitness:
    """One file per checkpoint, never replaced, and `latest`. Put the folder on other storage than the database."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def keep(self, size: int, note: str) -> None:
        await asyncio.to_thread(self._keep, size, note)

    def _keep(self, size: int, note: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{size:012d}.note"
        if not path.exists():
            _write_whole(path, note)
        _write_whole(self._folder / "latest", note)


def _write_whole(path: Path, text: str) -> None:
    """A reader sees the old file or the new one, never a part."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.write_text(text)
    half.replace(path)


class Checkpointer:
    """Signs whenever the log has grown, at most every `seconds`."""

    def __init__(self, pool: Pool, signer: Signer, origin: str, witnesses: Sequence[Witness], seconds: float) -> None:
        self._pool, self._signer, self._origin = pool, signer, origin
        self._witnesses, self._seconds = witnesses, seconds

    async def run(self) -> None:
        while True:
            try:
                await self.sign()
            except TRANSIENT as error:
                log.warning("checkpoint waits", reason=repr(error))
            await asyncio.sleep(self._seconds)

    async def sign(self) -> str | None:
        """Sign the head as it is now; the note, or None when the log is as long as at the last checkpoint."""
        size = await self._pool.fetchval("select next_index from log.sealer_state")
        if size <= await self._pool.fetchval("select coalesce(max(size), 0) from log.checkpoints"):
            return None
        root = await root_at(self._pool, size)
        note = sign_checkpoint(self._origin, size, root, self._signer)
        await self._pool.execute("select log.add_checkpoint($1, $2, $3)", size, root, note)
        for witness in self._witnesses:
            try:
                await witness.keep(size, note)
            except OSError as error:
                log.warning("a witness could not keep a checkpoint", size=size, reason=repr(error))
        return note


async def root_at(pool: Pool, size: int) -> bytes:
    """The root of the tree of the first `size` events."""
    return rebuild_head(size, await read_entries(pool, merge_reads([plan_head(size)]))).root
