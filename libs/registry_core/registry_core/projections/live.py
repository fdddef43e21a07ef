"""Keeps the tables that are shown up to date: all of a process in one transaction, over events read once."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from registry_core.projections.follower import FAR, Claim
from registry_core.projections.model import Projection, tell
from registry_core.projections.reading import read_window
from registry_core.projections.table import Table, fold, write
from registry_core.store.connections import Connection, Pool
from registry_core.telemetry import LAG

CHUNK = 2000
"""Log indexes of a transaction: readers of all tables wait for it to end."""
_CLAIM = """
    select p.projection, p.version, p.name, p.state, p.log_index, s.next_index - 1, p.switch_when_ready
      from unnest($1::text[], $2::integer[]) w(name, version), work.projections p, log.sealer_state s
     where p.projection = w.name and p.version = w.version and p.state = 'live'
       and s.next_index - 1 - p.log_index <= $3
       for update of p skip locked"""


class LiveTables:
    """Of these projections, the tables that are shown; any number may run, one works on a table at a time."""

    def __init__(self, projections: Sequence[Projection], pool: Pool) -> None:
        self._projections, self._pool = {(each.name, each.version): each for each in projections}, pool
        self._tables = dict[str, Table]()
        """By the table's name."""

    async def advance(self) -> int:
        """Take the next chunk into every table that lacks it; the number of log indexes that was."""
        async with self._claimed() as (connection, claims):
            behind = [claim for claim in claims if claim.at < claim.head]
            if not behind:
                return 0
            first, head = min(claim.at for claim in behind), max(claim.head for claim in behind)
            last = min(head, first + CHUNK)
            tables = self._tables_of([claim for claim in behind if claim.at < last])
            await _take_in(connection, tables, first, last)
        self._tables = {table.name: table for table in tables}
        for table in tables:
            LAG.labels("projection", table.projection.name, 0).set(head - last)
        return last - first

    @asynccontextmanager
    async def _claimed(self) -> AsyncIterator[tuple[Connection, list[Claim]]]:
        """A transaction, and the tables that nobody else has."""
        async with self._pool.acquire() as connection, connection.transaction():
            names, versions = zip(*self._projections, strict=True)
            rows = await connection.fetch(_CLAIM, names, versions, FAR)
            yield connection, [Claim(*row) for row in rows]

    def _tables_of(self, claims: Sequence[Claim]) -> list[Table]:
        """As they stand; out of reach until the chunk is committed."""
        known, self._tables = self._tables, {}
        tables = [
            known.get(c.table) or Table(self._projections[c.projection, c.version], c.table, c.at, tell) for c in claims
        ]
        for table, claim in zip(tables, claims, strict=True):
            table.resume(claim.at)
        return tables


async def _take_in(connection: Connection, tables: Sequence[Table], first: int, last: int) -> None:
    """The events with `first < log_index <= last`, read once, into those tables that lack them."""
    types = [table.projection.types for table in tables]
    some = None if None in types else frozenset(name for names in types for name in names or ())
    window = await read_window(connection, first, last, some)
    await fold(connection, [(table, [e for e in window.entries if table.lacks(e)]) for table in tables])
    await write(connection, tables, last)
    for table in tables:
        table.forget_rows()  # they are read again, whoever changed them
