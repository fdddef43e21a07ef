"""What is true in a Hugging Face hub, or a mirror of its API, and the files of one commit.

The paths are huggingface_hub's; asked with a client of ours, because its own has no bound on time or size of an answer
and follows every redirect (decision 0030).
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from huggingface_hub import hf_hub_url
from registry_core.events import Event
from registry_core.problems import invalid

from hallmark_ingestion.external.asking import Asking, SourceRefusalError
from hallmark_ingestion.external.huggingface_state import Repository, Sibling, heads, state_of
from hallmark_ingestion.external.looking import Look
from hallmark_ingestion.external.state import State

AT_ONCE: Final = 4
CDN: Final = (".hf.co", ".huggingface.co")
"""Where the hub itself sends those on who download large files."""
NOT_THERE: Final = ("RepoNotFound", "")
"""Error codes of a repository that is gone, or shown to us no more; a mirror may give none."""


class HuggingFace:
    """One request for each repository that is known."""

    def __init__(self, asking: Asking) -> None:
        self._ask = asking

    async def listing(self, known: Collection[str]) -> Mapping[str, State]:
        """The repositories that are followed; the hub's own list holds millions."""
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(name: str) -> tuple[str, Look]:
            async with limit:
                return name, await self.look(name, {})

        looks = await asyncio.gather(*map(one, known))
        return {name: look.state for name, look in looks if look.state and not look.renamed_to}

    async def look(self, name: str, known: State) -> Look:
        """A repository as it is now. Of one that was moved, the hub answers with the other's name."""
        try:
            found = await self.repository(name)
        except SourceRefusalError as error:
            if error.code not in NOT_THERE:
                raise self._ask.away(f"answers for {name}: {error}") from None
            return Look({})
        return Look(state_of(found), renamed_to=found.id if found.id != name else None)

    async def repository(self, name: str, revision: str | None = None) -> Repository:
        """With its files, where a revision is named. Raises SourceRefusalError, SourceAwayError."""
        where = f"/api/models/{quote(name)}"
        if revision is None:
            return await self._ask.read(Repository, where)
        return await self._ask.read(Repository, f"{where}/revision/{quote(revision, safe='')}", {"blobs": "true"})

    def to_import(self, events: Sequence[Event], state: State, since: datetime) -> Mapping[str, Any]:
        """A new head, by its commit."""
        return heads(events, state)

    async def content(self, name: str, commit: str, file: Sibling) -> AsyncIterator[bytes]:
        """A file of that very commit as it comes, held against what the list says of it before it ends.

        Raises Problem 422 for other content, SourceRefusalError, SourceAwayError.
        """
        url = hf_hub_url(name, file.rfilename, revision=commit, endpoint=self._ask.url)
        check = _Check(file)
        async with self._ask.opened(url.removeprefix(self._ask.url), elsewhere=CDN) as response:
            async for chunk in self._ask.chunks(response):
                check.update(chunk)
                yield chunk
        check.done()


class _Check:
    """SHA-256 of a file that LFS keeps; of any other the id that git gives its bytes."""

    def __init__(self, file: Sibling) -> None:
        self._file, self._size = file, 0
        self._expected = file.lfs.size if file.lfs else file.size
        self._hash = hashlib.sha256()
        if not file.lfs:
            self._hash = hashlib.sha1(b"blob %d\0" % (file.size or 0), usedforsecurity=False)

    def update(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._expected is not None and self._size > self._expected:
            raise self._other(f"more than the {self._expected} bytes that are listed")
        self._hash.update(chunk)

    def done(self) -> None:
        wanted = self._file.lfs.sha256 if self._file.lfs else self._file.blobId
        if self._hash.hexdigest() != wanted:
            raise self._other(f"{self._hash.name} {self._hash.hexdigest()}, listed is {wanted}")

    def _other(self, found: str) -> Exception:
        return invalid(
            f"{self._file.rfilename} is not what the repository lists: it has {found}",
            "import again; if it stays so, the endpoint gives out other content than the hub lists: do not use it",
        )
