"""Removes from the artifact store what nothing in the log refers to, and uploads that nobody goes on with.

Safe against whoever registers or uploads meanwhile (decision 0025): an object is first moved aside, then the log is
read once more. Who referred to it before that is seen, and it is moved back; who does so later finds it absent and
stores it anew. It is deleted by a run at least GRACE later, so that for as long it can also come back by hand.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import obstore
from obstore.exceptions import AlreadyExistsError, NotFoundError

from registry_core.objects import COPY_LIMIT, INCOMING, ObjectStorage

ASIDE: Final = "unreferenced"
"""Objects that were moved aside: `unreferenced/<seconds since 1970>/<hex digest>`."""
GRACE: Final = timedelta(days=1)
"""Longer than any request that is under way."""
ABANDONED: Final = timedelta(days=2)
"""An upload that nobody went on with for so long is forgotten."""
_REFERENCES: Final = """
    select distinct found[1] as digest from log.events,
      regexp_matches(encode(body, 'escape'), 'sha256:[0-9a-f]{64}', 'g') as found where body is not null"""
"""Whatever the event, and whatever the field: what an event of a later release refers to is kept, too."""


@dataclass(slots=True)
class Collected:
    """Digests of what a run did, or would do; `kept` counts what is referred to or too young."""

    moved_aside: list[str] = field(default_factory=list)
    moved_back: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    too_large: list[str] = field(default_factory=list)
    """On S3, where one request moves up to 5 GiB: to be deleted by hand."""
    uploads: int = 0
    """Objects of abandoned uploads that were removed."""
    kept: int = 0


class Collector:
    def __init__(
        self, objects: ObjectStorage, log: asyncpg.Connection, now: datetime, retention: timedelta, *, act: bool
    ) -> None:
        """Without `act` nothing changes. `retention`: younger objects stay, whoever refers to them or not."""
        self._objects, self._log, self._now, self._retention, self._act = objects, log, now, retention, act
        self._done = Collected()

    async def run(self) -> Collected:
        """Raises PostgresError, obstore's BaseError. Whatever it was in the middle of, a later run goes on."""
        known = await references(self._log)
        await self._look_at_what_is_aside(known)
        candidates = await self._unreferenced(known)
        for digest in candidates:
            await self._move_aside(digest)
        if self._act and self._done.moved_aside:
            await self._bring_back(await references(self._log))
        self._done.uploads = await forget_uploads(self._objects, self._now - ABANDONED, act=self._act)
        return self._done

    async def _unreferenced(self, known: set[str]) -> list[str]:
        found: list[str] = []
        async for batch in obstore.list(self._objects.store, prefix="sha256"):
            for entry in batch:
                digest = f"sha256:{entry['path'].rpartition('/')[2]}"
                if digest in known or entry["last_modified"] > self._now - self._retention:
                    self._done.kept += 1
                elif entry["size"] > COPY_LIMIT and self._objects.folder is None:
                    self._done.too_large.append(digest)
                else:
                    found.append(digest)
        return found

    async def _move_aside(self, digest: str) -> None:
        self._done.moved_aside.append(digest)
        if self._act:
            aside = f"{ASIDE}/{int(self._now.timestamp())}/{digest.removeprefix('sha256:')}"
            await obstore.rename_async(self._objects.store, self._objects.path_of(digest), aside)

    async def _look_at_what_is_aside(self, known: set[str]) -> None:
        async for path, digest, since in self._aside():
            if digest in known:
                await self._move_back(path, digest)
            elif since <= self._now - GRACE:
                self._done.deleted.append(digest)
                if self._act:
                    await _delete(self._objects, path)

    async def _bring_back(self, known: set[str]) -> None:
        async for path, digest, _ in self._aside():
            if digest in known:
                await self._move_back(path, digest)

    async def _move_back(self, path: str, digest: str) -> None:
        self._done.moved_back.append(digest)
        if self._act:
            with suppress(AlreadyExistsError):  # stored anew meanwhile
                await obstore.copy_async(self._objects.store, path, self._objects.path_of(digest), overwrite=False)
            await _delete(self._objects, path)

    async def _aside(self) -> AsyncIterator[tuple[str, str, datetime]]:
        async for batch in obstore.list(self._objects.store, prefix=ASIDE):
            for entry in batch:
                _, since, value = entry["path"].split("/")
                yield entry["path"], f"sha256:{value}", datetime.fromtimestamp(int(since), self._now.tzinfo)


async def references(log: asyncpg.Connection) -> set[str]:
    """Every digest that any event names. Reads the whole log."""
    async with log.transaction(readonly=True):
        return {row["digest"] async for row in log.cursor(_REFERENCES, prefetch=5000)}


async def forget_uploads(objects: ObjectStorage, before: datetime, *, act: bool = True) -> int:
    """Remove what came of uploads of which nothing came after `before`; how many objects that are."""
    newest: dict[str, datetime] = {}
    paths: dict[str, list[str]] = {}
    async for batch in obstore.list(objects.store, prefix=INCOMING):
        for entry in batch:
            upload = entry["path"].split("/")[1]
            paths.setdefault(upload, []).append(entry["path"])
            newest[upload] = max(newest.get(upload, entry["last_modified"]), entry["last_modified"])
    gone = [path for upload, when in newest.items() if when < before for path in sorted(paths[upload], reverse=True)]
    if act:
        for path in gone:
            await _delete(objects, path)
    return len(gone) + await asyncio.to_thread(_forget_staged, objects, before, act)


def _forget_staged(objects: ObjectStorage, before: datetime, act: bool) -> int:
    """In a folder, what a process was writing when it was killed; obstore names it `<name>#<number>`, unlisted."""
    if objects.folder is None:
        return 0
    staged = [path for path in objects.folder.rglob("*#*") if path.stat().st_mtime < before.timestamp()]
    for path in staged if act else ():
        with suppress(FileNotFoundError):
            os.unlink(path)
    return len(staged)


async def _delete(objects: ObjectStorage, path: str) -> None:
    with suppress(NotFoundError, FileNotFoundError):
        await obstore.delete_async(objects.store, path)
