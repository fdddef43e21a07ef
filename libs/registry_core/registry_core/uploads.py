"""Uploads that may break off anywhere and go on: what has come is kept as parts, each named by its first byte.

There is no state but these objects, so that any process goes on with what another began. The terms are those of
draft-ietf-httpbis-resumable-upload. A part is put only where its name is free: of two writers at once one is refused,
and what a part holds is settled. In a folder the first part grows instead. Whether all of it is right the digest says,
once, when the file is put together.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import obstore
from obstore.exceptions import AlreadyExistsError

from registry_core.appending import BusyError, gathered, held
from registry_core.objects import CHUNK, INCOMING, ObjectStorage
from registry_core.problems import Problem

_DIGITS: Final = 15
"""Of an offset in a part's name, so that names sort as numbers do: up to a petabyte."""


@dataclass(frozen=True, slots=True)
class Part:
    path: str
    first: int
    size: int


class Upload:
    """One file on its way in, from one account."""

    def __init__(self, objects: ObjectStorage, *identity: str) -> None:
        """`identity` is whatever tells this upload from others; it goes on where all of it is the same."""
        key = hashlib.sha256("\n".join(identity).encode()).hexdigest()
        self._objects, self._folder = objects, f"{INCOMING}/{key}"

    async def offset(self) -> int:
        """Bytes that have come and are kept."""
        return sum(part.size for part in await self._parts())

    async def _parts(self) -> list[Part]:
        """From the first byte on, up to the first gap."""
        found: list[Part] = []
        for part in sorted(await self._objects_there(), key=lambda part: part.first):
            if part.first == (found[-1].first + found[-1].size if found else 0):
                found.append(part)
        return found

    async def _objects_there(self) -> list[Part]:
        return [
            Part(entry["path"], int(entry["path"].rpartition("/")[2]), entry["size"])
            async for batch in obstore.list(self._objects.store, prefix=self._folder)
            for entry in batch
        ]

    async def append(self, offset: int, chunks: AsyncIterable[bytes], limit: int) -> int:
        """Keep what comes from `offset` on; the new offset. What came before an error is kept, too.

        Raises Problem 409 where `offset` is not where the upload is, or another request goes on with it; 413 above
        `limit` bytes in all.
        """
        if self._objects.folder:
            return await self._append_to_file(offset, chunks, limit)
        if offset != (current := await self.offset()):
            raise mismatch(offset, current)
        waiting = bytearray()
        try:
            async for chunk in chunks:
                waiting += chunk
                if offset + len(waiting) > limit:
                    waiting.clear()
                    raise _too_much(limit)
                if len(waiting) >= CHUNK:
                    offset = await self._keep(offset, waiting)
        finally:
            if waiting:
                offset = await self._keep(offset, waiting)
        return offset

    async def _append_to_file(self, offset: int, chunks: AsyncIterable[bytes], limit: int) -> int:
        """In a folder the first part grows: nothing is written twice, and what has come survives a kill at once."""
        try:
            with held(self._file, new=True) as file:
                if offset != (current := file.seek(0, os.SEEK_END)):
                    raise mismatch(offset, current)
                async for chunk in gathered(chunks):
                    if offset + len(chunk) > limit:
                        raise _too_much(limit)
                    await asyncio.to_thread(file.write, chunk)
                    offset += len(chunk)
        except BusyError:
            raise mismatch(offset, await self.offset()) from None
        return offset

    @property
    def _file(self) -> Path:
        """The first part, in a folder the only one."""
        return (self._objects.folder or Path()) / self._folder / ("0" * _DIGITS)

    async def finish(self, digest: str, limit: int, size: int | None) -> None:
        """Store all that has come as an object. Raises as ObjectStorage.put_stream, and Problem 409."""
        if not self._objects.folder:
            await self._objects.put_stream(digest, self.chunks(), limit, size=size)
            return
        try:
            with held(self._file, new=True):
                await self._objects.adopt(f"{self._folder}/{'0' * _DIGITS}", digest, limit, size=size)
                self._file.unlink()
        except BusyError:
            raise mismatch(size or 0, await self.offset()) from None

    async def _keep(self, offset: int, held: bytearray) -> int:
        try:
            path = f"{self._folder}/{offset:0{_DIGITS}}"
            await obstore.put_async(self._objects.store, path, bytes(held), mode="create")
        except AlreadyExistsError:
            raise mismatch(offset, await self.offset()) from None
        finally:
            size = len(held)
            held.clear()
        return offset + size

    async def chunks(self) -> AsyncIterator[bytes]:
        """All that has come, in order."""
        for part in await self._parts():
            found = await obstore.get_async(self._objects.store, part.path)
            async for chunk in found.stream():
                yield bytes(chunk)

    async def discard(self) -> None:
        """Forget what has come."""
        if paths := [part.path for part in await self._objects_there()]:
            await obstore.delete_async(self._objects.store, paths)


def _too_much(limit: int) -> Problem:
    return Problem(413, "too-large", f"more than {limit} bytes", fix="send the file that was registered")


def mismatch(provided: int, expected: int) -> Problem:
    """Section 4.4 of the draft: the client asks where the upload is, and goes on from there."""
    both: dict[str, Any] = {"expected-offset": expected, "provided-offset": provided}
    return Problem(
        409, "mismatching-upload-offset", f"the upload is at byte {expected}, and this would go on at {provided}",
        fix="ask with HEAD for Upload-Offset, and send the file from there on",
        headers={"Upload-Offset": str(expected)}, **both,
    )  # fmt: skip
