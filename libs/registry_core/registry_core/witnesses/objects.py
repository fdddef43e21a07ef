"""Checkpoints as objects, one per size, never replaced: in a folder, or in a bucket with object lock.

Each is put only if its name is free (`If-None-Match: *`). In a bucket whose object lock has a default retention nobody,
its owner included, removes one before its time; S3 asks for a checksum with such a put, so one is sent.
`latest` is a copy of the newest for readers; it proves nothing.
"""

import re
from collections.abc import Sequence
from typing import Final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import ObjectStore

from registry_core.objects import connect
from registry_core.proofs.cosignature import Cosignature
from registry_core.settings import Settings
from registry_core.witnesses.base import LogView, WitnessAwayError, compare, stated

LATEST: Final = "latest"
_NAME: Final = re.compile(r"[0-9]{12}\.note")
_AWAY: Final = (BaseError, OSError)


def open_objects(url: str, settings: Settings) -> ObjectStore:
    """The store at a URL. Raises obstore's BaseError for one that cannot be."""
    if url.startswith("file://"):
        return connect(url, settings)
    # One retry only: the ledger tries again by itself, and says so.
    return connect(url, settings, checksum_algorithm="SHA256", retry_config={"max_retries": 1})


class ObjectWitness:
    """`<size, 12 digits>.note` for each checkpoint."""

    def __init__(self, url: str, store: ObjectStore) -> None:
        self.url, self._store = url, store
        self._seen = ""
        """The largest name known to agree with the log: what comes before it is not listed again."""

    async def keep(self, size: int, note: str, log: LogView) -> Sequence[Cosignature]:
        try:
            await self._keep(size, note, log)
        except _AWAY as error:
            raise WitnessAwayError(f"{self.url}: {_reason(error)}") from error
        return ()

    async def _keep(self, size: int, note: str, log: LogView) -> None:
        name, origin = _name(size), stated(note).origin
        largest = await self._largest()
        if largest is not None:
            await compare(self.url, await self._get(largest), origin, log)
        try:
            await obstore.put_async(self._store, name, note.encode(), mode="create")
        except AlreadyExistsError:  # an earlier attempt whose answer was lost, or another root at this size
            await compare(self.url, await self._get(name), origin, log)
        if largest is None or largest <= name:
            await obstore.put_async(self._store, LATEST, note.encode())
        self._seen = max(name, largest or name)

    async def newest(self) -> str | None:
        try:
            largest = await self._largest()
            return None if largest is None else await self._get(largest)
        except _AWAY as error:
            raise WitnessAwayError(f"{self.url}: {_reason(error)}") from error

    async def _largest(self) -> str | None:
        """The largest name beyond those seen; names have one length, so their order is that of the sizes.

        Other files in the folder, say a checkpoint that an auditor kept, count for nothing.
        """
        names = [self._seen] if self._seen else []
        async for page in obstore.list(self._store, offset=self._seen or None):
            names += [meta["path"] for meta in page if _NAME.fullmatch(meta["path"])]
        return max(names, default=None)

    async def _get(self, name: str) -> str:
        try:
            found = await obstore.get_async(self._store, name)
        except NotFoundError as error:
            raise OSError(f"{name} was removed") from error
        return bytes(await found.bytes_async()).decode(errors="replace")


def _reason(error: Exception) -> str:
    """Without what obstore adds for its own developers."""
    return str(error).partition("\n")[0]


def _name(size: int) -> str:
    return f"{size:012d}.note"
