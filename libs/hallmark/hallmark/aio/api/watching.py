"""Live: rows of views and the standing of versions as they change, told by the server (server-sent events)."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import replace
from typing import Final

import httpx

from hallmark.aio.api.operations import Operations
from hallmark.aio.api.promotions import Promotions
from hallmark.aio.api.versions import Versions
from hallmark.wire import Document, event, read, segment

_SILENCE: Final = 30.0
"""Seconds without a word after which the connection is taken for lost; the server speaks every ten."""
_RECONNECT: Final = 0.5
"""Seconds before the next connection, so that one that ends at once is not asked for without pause."""


class Watching(Versions, Promotions, Operations):
    async def changes(
        self, view: str, filters: Mapping[str, str] | None = None, *, after: int | None = None
    ) -> AsyncGenerator[Document, None]:
        """A view's rows as they change, after a log index or from now on, without end.

        Where the stream ends, because the server restarts, it goes on behind the last row: none is missed, one may
        come twice. Raises as every call; the time for retries begins anew with each connection.
        """
        last = str((await self.views(view, filters, limit=1))["log_index"] if after is None else after)
        where = f"/v1/views/{segment(view)}/live"
        while True:
            call = replace(read(where, **{**(filters or {}), "after": last}), patience=_SILENCE)
            async with contextlib.AsyncExitStack() as stack:
                answer = await self.retrying(lambda: stack.enter_async_context(self.opened(call)))  # noqa: B023 - awaited here
                async for number, row in _events(answer):
                    if row is not None:
                        yield row
                    last = number or last
            await self._retry.sleep(_RECONNECT)

    async def watch(self, what: str, *, at_least: int | None = None) -> AsyncGenerator[Document, None]:
        """Where a version, an asset (`kind:name`) or a promotion stands: at once, and anew at each change, without end.

        Documents are as of `version`, `asset` and `promotion`; a version's also has its `promotions`, those that
        changed last at the end. With `at_least` (a write's `log_index`) the first contains what that write brought
        about. Raises as `changes`.
        """
        view, filters = _view_of(what)
        begin = await self.views(view, filters, at_least, limit=1)
        found = await self._standing(what, at_least)
        yield found
        async for row in self.changes(view, filters, after=begin["log_index"]):
            newest = await self._standing(what, row["log_index"])
            if newest != found:
                yield newest
            found = newest

    async def _standing(self, what: str, at_least: int | None) -> Document:
        if ":" not in what:
            return await self.promotion(what)
        if "@" not in what:
            return await self.asset(what)
        queue = await self.views("review_queue", {"ref": what}, at_least)
        found = await self.version(what)
        return {**found, "promotions": queue["rows"]}


def _view_of(what: str) -> tuple[str, dict[str, str]]:
    """The view that tells of every change, and the rows of it that matter."""
    if ":" not in what:
        return "version_timeline", {"promotion": what}
    if "@" in what:
        return "version_timeline", {"ref": what}
    kind, _, name = what.partition(":")
    return "version_overview", {"kind": kind, "name": name}


async def _events(answer: httpx.Response) -> AsyncIterator[tuple[str, Document | None]]:
    """Ids and rows of a stream, until it ends or breaks."""
    lines: list[str] = []
    with contextlib.suppress(httpx.TransportError):
        async for line in answer.aiter_lines():
            lines.append(line)
            if not line:
                yield event(lines)
                lines.clear()
