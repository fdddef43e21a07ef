"""Takes the log into one table of a projection, a chunk in each transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from registry_core.projections.model import Projection, keep_silent, tell
from registry_core.projections.reading import reading
from registry_core.projections.table import Table, fold, write
from registry_core.store.connections import Connection, Pool

CHUNK_EVENTS, CHUNK_ROWS, CHUNK_BYTES = 100_000, 20_000, 16 * 1024 * 1024
"""A transaction takes in so many log indexes at most, and ends early after so many rows or bytes of events."""
FAR = 100_000
"""A table that is shown and so many log indexes behind is brought up by itself, so that it holds up no other."""
_CLAIM = """
    select p.projection, p.version, p.name, p.state, p.log_index, s.next_index - 1, p.switch_when_ready
      from work.projections p, log.sealer_state s
     where p.projection = $1 and p.version = $2
       and (p.state in ('building', 'ready') or p.state = 'live' and s.next_index - 1 - p.log_index > $3)
     order by p.state <> 'live' limit 1 for update of p skip locked"""


@dataclass(frozen=True, slots=True)
class Claim:
    """A table that this process alone works on, to the end of the transaction."""

    projection: str
    version: int
    table: str
    state: str
    at: int
    """Log index that the table stands at."""
    head: int
    """Log index of the newest sealed event."""
    switch: bool
    """Whether it is to be shown once it has caught up."""


class Follower:
    """Of a projection, the table that is built beside the shown one; any number may run, one works at a time."""

    def __init__(self, projection: Projection, pool: Pool) -> None:
        self.projection, self._pool = projection, pool
        self._table: Table | None = None

    @property
    def kept_bytes(self) -> int:
        """Of rows, as JSON, kept in memory between two chunks."""
        return self._table.kept_bytes if self._table else 0

    @asynccontextmanager
    async def claimed(self) -> AsyncIterator[tuple[Connection, Claim | None]]:
        """A transaction, and the table if there is one and nobody else has it."""
        async with self._pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(_CLAIM, self.projection.name, self.projection.version, FAR)
            yield connection, Claim(*row.values()) if row else None

    async def advance(self) -> int:
        """Take in the next chunk; the number of log indexes that was."""
        async with self.claimed() as (connection, claim):
            if claim is None or claim.at >= claim.head:
                if self._table:
                    self._table.forget_rows()
                return 0
            return await self.take_in(connection, claim) - claim.at

    async def take_in(self, connection: Connection, claim: Claim) -> int:
        """Fold and write a chunk in the caller's transaction; where the table then stands."""
        table = self._as_of(claim)
        last = min(claim.head, claim.at + CHUNK_EVENTS)
        at = await self._fold(connection, table, last)
        await write(connection, [table], at)
        self._table = table
        return at

    def _as_of(self, claim: Claim) -> Table:
        """What is in memory, if nobody else has written since; out of reach until this chunk is written, too."""
        table, self._table = self._table, None
        if table is None or table.name != claim.table:
            return Table(self.projection, claim.table, claim.at, tell if claim.state == "live" else keep_silent)
        table.resume(claim.at)
        return table

    async def _fold(self, connection: Connection, table: Table, last: int) -> int:
        at, size = table.at, 0
        async with reading(self._pool, connection, at, last, self.projection.types) as windows:
            async for window in windows:
                await fold(connection, [(table, window.entries)])
                at, size = window.last, size + sum([len(entry.body or b"") for entry in window.entries])
                if table.waiting >= CHUNK_ROWS or size >= CHUNK_BYTES:
                    break
        return at
