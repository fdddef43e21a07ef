"""Versions from elsewhere: imported from a Hugging Face hub, and what changed at connected sources without a word."""

from typing import Any

from hallmark.aio.session import AsyncSession
from hallmark.meter import Progress
from hallmark.wire import Document, present, read, segment, write

_ENDED = ("done", "refused")
_POLL_SECONDS = 0.5


class Imports(AsyncSession):
    async def import_version(self, url: str, *, ref: str | None = None, source: str | None = None) -> Document:
        """Have one commit of `hf://organisation/name@revision` registered as a draft, every file verified.

        The server does it; `import_of` with the answer's `id` tells how far it is. `ref`: what it is registered as, by
        default `model:<organisation>.<name>@` its version tag or its commit. `source`: the connected source to ask;
        the repository is followed from then on.
        """
        return await self.ask(write("POST", "/v1/imports", present(url=url, ref=ref, source=source)))

    async def import_of(self, number: str) -> Document:
        """One import: `state` is waiting, running, done or refused; `reason` and `fix` say why not."""
        return await self.ask(read(f"/v1/imports/{segment(number)}"))

    async def wait_import(self, number: str, *, progress: Progress | None = None) -> Document:
        """Until the import is done or refused; the server goes on also without anybody who waits.

        `progress` counts bytes that are stored.
        """
        stored = 0
        while True:
            found = await self.import_of(number)
            if progress:
                progress(found["bytes_stored"] - stored)
            stored = found["bytes_stored"]
            if found["state"] in _ENDED:
                return found
            await self._retry.sleep(_POLL_SECONDS)

    async def imports(self, *, limit: int | None = None) -> list[Any]:
        """Every import, newest first."""
        return list(await self.send(read("/v1/imports", limit=limit)))
