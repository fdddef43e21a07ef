# Made from aio/api/watching.py by `make sdk`: change it there.
"""Live: rows of views and the standing of versions as they change, told by the server (server-sent events)."""

import contextlib
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from typing import Final

import httpx

from hallmark.api.operations import Operations
from hallmark.api.promotions import Promotions
from hallmark.api.versions import Versions
from hallmark.wire import Document, event, read, segment

_SILENCE: Final = 30.0
"""Seconds without a word after which the connection is taken for lost; the server speaks every ten."""
_RECONNECT: Final = 0.5
"""Seconds before the next connection, so that one that ends at once is not asked for without pause."""


class Watching(Versions, Promotions, Operations):
    def changes(
        self, view: str, filters: Mapping[str, str] | None = None, *, after: int | None = None
    ) -> Generator[Document, None, None]:
        """A view's rows as they change, after a log index or from now on, without end.

        Where the stream ends, because the server restarts, it goes on behind the last row: none is missed, one may
        come twice. Raises as every call; the time for retries begins anew with each connection.
        """
        last = str((self.views(view, filters, limit=1))["log_index"] if after is None else after)
        where = f"/v1/views/{segment(view)}/live"
        while True:
            call = replace(read(where, **{**(filters or {}), "after": last}), patience=_SILENCE)
            with contextlib.ExitStack() as stack:
                answer = self.retrying(lambda: stack.enter_context(self.opened(call)))  # noqa: B023 - awaited here
                for number, row in _events(answer):
                    if row is not None:
                        yield row
                    last = number or last
            self._retry.sleep(_RECONNECT)

    def watch(self, what: str, *, at_least: int | None = None) -> Generator[Document, None, None]:
        """Where a version, an asset (`kind:name`) or a promotion stands: at once, and anew at each change, without end.

        Documents are as of `version`, `asset` and `promotion`; a version's also has its `promotions`, those that
        changed last at the end. With `at_least` (a write's `log_index`) the first contains what that write brought
        about. Raises as `changes`.
        """
        view, filters = _view_of(what)
        begin = self.views(view, filters, at_least, limit=1)
        found = self._standing(what, at_least)
        yield found
        for row in self.changes(view, filters, after=begin["log_index"]):
            newest = self._standing(what, row["log_index"])
            if newest != found:
                yield newest
            found = newest

    def _standing(self, what: str, at_least: int | None) -> Document:
        if ":" not in what:
            return self.promotion(what)
        if "@" not in what:
            return self.asset(what)
        queue = self.views("review_queue", {"ref": what}, at_least)
        found = self.version(what)
        return {**found, "promotions": queue["rows"]}


def _view_of(what: str) -> tuple[str, dict[str, str]]:
    """The view that tells of every change, and the rows of it that matter."""
    if ":" not in what:
        return "version_timeline", {"promotion": what}
    if "@" in what:
        return "version_timeline", {"ref": what}
    kind, _, name = what.partition(":")
    return "version_overview", {"kind": kind, "name": name}


def _events(answer: httpx.Response) -> Iterator[tuple[str, Document | None]]:
    """Ids and rows of a stream, until it ends or breaks."""
    lines: list[str] = []
    with contextlib.suppress(httpx.TransportError):
        for line in answer.iter_lines():
            lines.append(line)
            if not line:
                yield event(lines)
                lines.clear()
