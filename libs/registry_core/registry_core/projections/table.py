"""Tables of projections: rows in memory while much is folded into them, and one write of their last states."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TypeVar

import msgspec

from registry_core.projections.model import LeftOut, Projection, Row, Touched
from registry_core.projections.reading import LogEntry
from registry_core.store.connections import Connection

SLICE = 250
"""Events folded before others in this process have their turn, a few milliseconds."""
KEPT_BYTES = 16 * 1024 * 1024
"""Of rows, as JSON, kept in memory for the next chunk; as Python objects they take about five times as much."""

T = TypeVar("T")
_COLUMNS = """select attname from pg_attribute
               where attrelid = $1::regclass and attnum > 1 and not attisdropped"""
_ROWS = "select {n}, key, to_jsonb(t)::text from projection.{name} t where key = any(${n})"
_UPSERT = """
    w{n} as (
      insert into projection.{name} select * from jsonb_populate_recordset(null::projection.{name}, ${n}::jsonb)
      on conflict (key) do update set {assignments})"""
_STAND_AT = """
    moved as (
      update work.projections set log_index = $2 where name = any($1) returning projection, state)
    select pg_notify('projected', projection) from moved where state = 'live'"""
"""Readers are told of the table that is shown alone: one that warms up beside it has no effects."""
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""The escape itself, not a backslash that somebody wrote before `u0000`."""
_encode = msgspec.json.Encoder(enc_hook=str).encode
_decode = msgspec.json.Decoder(Row).decode


class Table:
    """The rows of `projection.<name>` as of a log index. Forget it when a transaction with it fails."""

    def __init__(self, projection: Projection, name: str, at: int, left_out: LeftOut) -> None:
        self.projection, self.name, self.at, self._left_out = projection, name, at, left_out
        self._assignments = ""
        self._rows = dict[str, Row]()
        self._sizes = dict[str, int]()
        self._changed = dict[str, Row]()
        self._complete = at < 0
        """Every row there is is in memory: a key that is not there is new."""

    def lacks(self, entry: LogEntry) -> bool:
        """Whether this event is one for the table, and not in it yet."""
        return entry.log_index > self.at and (self.projection.types is None or entry.type in self.projection.types)

    def resume(self, at: int) -> None:
        """Go on where the table stands now: what is in memory is of no use if somebody else has written since."""
        if self.at != at:
            self.forget_rows()
            self.at = at

    @property
    def waiting(self) -> int:
        """Rows changed since the last write."""
        return len(self._changed)

    @property
    def kept_bytes(self) -> int:
        return sum(self._sizes.values())

    async def touched(self, entries: Sequence[LogEntry]) -> list[Touched]:
        return [pair async for part in _slices(entries) for pair in self.projection.touched(part, self._left_out)]

    def missing(self, touched: Sequence[Touched]) -> list[str]:
        """The keys of rows that are to be read before these events can be folded."""
        return [] if self._complete else sorted({key for _, keys in touched for key in keys} - self._rows.keys())

    def add(self, key: str, row: str) -> None:
        """A row that was read, as JSON."""
        self._rows[key], self._sizes[key] = _decode(row), len(row)

    async def fold(self, touched: Sequence[Touched]) -> None:
        """Take in events, in memory alone."""
        async for part in _slices(touched):
            changed = self.projection.fold_touched(self._rows, part, self._left_out)
            self._rows.update(changed)
            self._changed.update(changed)

    async def assignments(self, connection: Connection) -> str:
        """SQL that overwrites a row by what was to be inserted."""
        if not self._assignments:
            rows = await connection.fetch(_COLUMNS, f"projection.{self.name}")
            self._assignments = ", ".join(f"{row['attname']} = excluded.{row['attname']}" for row in rows)
        return self._assignments

    def take_changed(self) -> str:
        """The rows changed since the last call, as a JSON array."""
        encoded = {key: _encode(row) for key, row in self._changed.items()}
        self._keep_only_some({key: len(row) for key, row in encoded.items()})
        self._changed.clear()
        return _as_json(encoded.values())

    def forget_rows(self) -> None:
        """Free the memory; the table goes on."""
        self._rows.clear()
        self._sizes.clear()
        self._complete = False

    def _keep_only_some(self, written: dict[str, int]) -> None:
        """Those written last, so many as fit: a version's events come close together."""
        for key, size in written.items():
            self._sizes.pop(key, None)
            self._sizes[key] = size
        total = self.kept_bytes
        for key in list(self._sizes):
            if total <= KEPT_BYTES:
                break
            total -= self._sizes.pop(key)
            self._rows.pop(key, None)
            self._complete = False


async def fold(connection: Connection, work: Sequence[tuple[Table, Sequence[LogEntry]]]) -> None:
    """Take events into tables, in memory alone. The rows they touch are read with one query for all tables."""
    touched = [(table, await table.touched(entries)) for table, entries in work]
    missing = [(table, keys) for table, pairs in touched if (keys := table.missing(pairs))]
    if missing:
        query = " union all ".join(_ROWS.format(n=n, name=table.name) for n, (table, _) in enumerate(missing, 1))
        for n, key, row in await connection.fetch(query, *(keys for _, keys in missing)):
            missing[n - 1][0].add(key, row)
    for table, pairs in touched:
        await table.fold(pairs)


async def write(connection: Connection, tables: Sequence[Table], at: int) -> None:
    """Write what changed and that the tables stand at this log index, and tell who waits for that: one statement."""
    changed = [table for table in tables if table.waiting]
    upserts = [
        _UPSERT.format(n=n, name=table.name, assignments=await table.assignments(connection))
        for n, table in enumerate(changed, 3)
    ]
    statement = "with" + ",".join([*upserts, _STAND_AT])
    await connection.execute(statement, [table.name for table in tables], at, *[t.take_changed() for t in changed])
    for table in tables:
        table.at = at


async def _slices(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """All of them, a few at a time; others in this process have their turn in between."""
    for first in range(0, len(items), SLICE):
        yield items[first : first + SLICE]
        await asyncio.sleep(0)


def _as_json(rows: Iterable[bytes]) -> str:
    """A JSON array; NUL, which events can hold and jsonb cannot, becomes U+FFFD."""
    text = (b"[" + b",".join(rows) + b"]").decode()
    return _NUL.sub(r"\1\\ufffd", text) if "\\u0000" in text else text
