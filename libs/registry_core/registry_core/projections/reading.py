"""The sealed log as projections read it: a window of log indexes at a time, and of that only what they fold."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from registry_core.events import Erased, Event, decode
from registry_core.store.connections import Connection, Pool

WINDOW = 2000
"""Log indexes per query."""


@dataclass(slots=True, eq=False)
class LogEntry:
    """An event with what a fold may use of it (`Entry`)."""

    log_index: int
    stream: str
    type: str
    body: bytes | None
    actor: str
    occurred_at: datetime
    recorded_at: datetime
    _data: Event | None = None

    @property
    def data(self) -> Event:
        """The body as the newest version of its type (decoded once), or `Erased`."""
        if self._data is None:
            self._data = Erased() if self.body is None else decode(self.type, self.body)
        return self._data


@dataclass(frozen=True, slots=True)
class Window:
    """The entries wanted of those with a log index up to and including `last`."""

    entries: list[LogEntry]
    last: int


async def read_window(connection: Connection, after: int, last: int, types: frozenset[str] | None) -> Window:
    """Entries of these types (None: all) with `after < log_index <= last`, in order."""
    rows = await connection.fetch(
        """select s.log_index, e.stream_id, e.type, e.body, e.actor, e.occurred_at, e.recorded_at
             from log.sealed s join log.events e using (position)
            where s.log_index > $1 and s.log_index <= $2 and ($3::text[] is null or e.type = any($3))
            order by s.log_index""",
        after, last, None if types is None else sorted(types),
    )  # fmt: skip
    return Window([LogEntry(*row) for row in rows], last)


async def windows(
    connection: Connection, after: int, last: int, types: frozenset[str] | None
) -> AsyncGenerator[Window, None]:
    """Every window up to `last`."""
    while after < last:
        window = await read_window(connection, after, min(after + WINDOW, last), types)
        yield window
        after = window.last


async def prefetched(source: AsyncIterator[Window]) -> AsyncGenerator[Window, None]:
    """The same; each one is on its way while the caller works on the one before."""
    following = asyncio.ensure_future(anext(source, None))
    try:
        while (window := await following) is not None:
            following = asyncio.ensure_future(anext(source, None))
            await asyncio.sleep(0)  # lets the query go out
            yield window
    finally:
        await asyncio.wait([following])


@asynccontextmanager
async def reading(
    pool: Pool, first: Connection, after: int, last: int, types: frozenset[str] | None
) -> AsyncIterator[AsyncIterator[Window]]:
    """Windows up to `last`. Many are read on a connection of their own, while the first one writes, if one is free."""
    second = await _spare(pool) if last - after > WINDOW else None
    found = windows(second or first, after, last, types)
    ahead = prefetched(found) if second else found
    try:
        yield ahead
    finally:
        await ahead.aclose()
        await found.aclose()
        if second:
            await pool.release(second)


async def _spare(pool: Pool) -> Any:
    try:
        return await pool.acquire(timeout=0.05)
    except TimeoutError:
        return None
