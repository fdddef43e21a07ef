"""Live subscriptions: a view's changed rows as server-sent events (WHATWG HTML, section 9.2)."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from itertools import zip_longest
from typing import Final

import asyncpg
import structlog
from litestar.response.sse import ServerSentEventMessage
from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import Receive, Send
from registry_core.notifier import PROJECTED, Notifier
from registry_core.problems import Problem
from registry_core.projections import Row
from registry_core.store.connections import TRANSIENT, Pool

from hallmark_console.catalogue import Filter, View
from hallmark_console.views import read_rows

log = structlog.get_logger()

BATCH: Final = 500
HEARTBEAT: Final = 10.0
"""Seconds of silence after which a comment is sent, and the database asked without having been told to."""
RETRY: Final = 2000
"""Milliseconds that a browser waits before it connects anew."""
MOST_STREAMS: Final = 200
"""Of one account in one process, which has 2,000 connections for everybody together."""


class Streams:
    """How many each account has open in this process."""

    def __init__(self) -> None:
        self._open = Counter[str]()

    def check(self, account: str) -> None:
        """Raises Problem 429 for an account that has as many as it may."""
        if self._open[account] >= MOST_STREAMS:
            raise Problem(
                429, "too-many-streams", f"{account} has {MOST_STREAMS} live streams open here, as many as it may",
                fix="close some; one stream can serve many readers", headers={"Retry-After": "60"},
            )  # fmt: skip

    @contextmanager
    def one(self, account: str) -> Iterator[None]:
        self._open[account] += 1
        try:
            yield
        finally:
            self._open[account] -= 1
            self._open += Counter()  # forgets whoever has none


class LiveResponse(ASGIStreamingResponse):
    """A stream of server-sent events that takes being stopped (server shutdown) as its ordinary end."""

    def __init__(
        self, messages: AsyncIterator[list[ServerSentEventMessage]], held: AbstractContextManager[None]
    ) -> None:
        """`held` for as long as it is sent."""
        self._held = held
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(iterator=_encoded(messages), media_type="text/event-stream", headers=headers)

    async def send_body(self, send: Send, receive: Receive) -> None:
        with self._held, suppress(asyncio.CancelledError):
            await super().send_body(send, receive)


async def _encoded(messages: AsyncIterator[list[ServerSentEventMessage]]) -> AsyncIterator[bytes]:
    """Ends where the messages end, or where it is cancelled: the client sees a complete answer either way."""
    with suppress(asyncio.CancelledError):
        async for batch in messages:
            yield b"".join([message.encode() for message in batch])


async def changes(
    pool: Pool, notifier: Notifier, view: View, after: int, *, matching: Filter, allowed: Callable[[], Awaitable[bool]]
) -> AsyncIterator[list[ServerSentEventMessage]]:
    """Every row changed after a log index, now and from now on, for as long as `allowed` says so."""
    yield [ServerSentEventMessage(data=None, comment=f"{view.name} after {after}", retry=RETRY)]
    with closing(notifier.subscribe(PROJECTED, view.name)) as projected:
        try:
            while not notifier.stopping and await allowed():
                rows = await read_rows(pool, view, after, BATCH, matching)
                if rows:
                    yield messages_of(rows)
                    after = rows[-1]["log_index"]
                elif await _silent(projected.wait):
                    yield [ServerSentEventMessage(data=None, comment="still here")]
        except (*TRANSIENT, asyncpg.UndefinedColumnError) as error:  # a new version may lack a column of the filter
            log.warning("live subscription ends; its client will connect anew", view=view.name, reason=repr(error))


def messages_of(rows: list[Row]) -> list[ServerSentEventMessage]:
    """One message per row. Of rows with one log index only the last carries it as id: whoever resumes gets them all."""
    return [_message(row, following) for row, following in zip_longest(rows, rows[1:])]


def _message(row: Row, following: Row | None) -> ServerSentEventMessage:
    more = following is not None and following["log_index"] == row["log_index"]
    return ServerSentEventMessage(data=json.dumps(row), id=None if more else row["log_index"])


async def _silent(wait: Callable[[float], Awaitable[None]]) -> bool:
    """Wait for the view's next change; whether a heartbeat is due."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await wait(HEARTBEAT)
    return loop.time() - began >= HEARTBEAT
