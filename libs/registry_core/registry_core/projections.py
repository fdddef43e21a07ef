"""Read models: tables folded from the sealed log, shown as SQL views, rebuilt at any time.

A projection is a pure `evolve` over one row per key. A batch of events is one read of the rows it touches, a fold in
memory and one write of their last states, with the checkpoint in the same transaction.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import structlog

from registry_core.events import RecordedEvent
from registry_core.notifier import SEALED, Notifier
from registry_core.store.postgres import EVENT_COLUMNS, TRANSIENT, Connection, Pool, recorded
from registry_core.telemetry import HANDLED, LAG

log = structlog.get_logger()

BATCH = 2000
Row = dict[str, Any]
Evolve = Callable[[Row | None, RecordedEvent], Row | None]


@dataclass(frozen=True, slots=True)
class Projection:
    """`projection.<name>__v<version>`, shown as `views.<name>`.

    Every table has `key text` first and `log_index bigint`, the index of the event that last changed the row.
    """

    name: str
    version: int
    columns: str
    """SQL of the further columns; they must be able to be null or have a default."""
    keys: Callable[[RecordedEvent], Iterable[str]]
    """Which rows an event touches; none if it does not concern this projection."""
    evolve: Evolve
    """The row after the event, without `key` and `log_index`; None leaves it as it was."""

    @property
    def table(self) -> str:
        return f"{self.name}__v{self.version}"

    @property
    def ddl(self) -> str:
        return f"""
            create table if not exists projection.{self.table}
              (key text primary key, log_index bigint not null, {self.columns});
            create index if not exists {self.table}_by_log_index on projection.{self.table} (log_index);
            create or replace view views.{self.name} as select * from projection.{self.table};
            insert into work.projections values ('{self.table}', -1) on conflict do nothing;"""

    def keys_of(self, event: RecordedEvent) -> Iterable[str]:
        """`keys`, and none for an event that cannot be read."""
        try:
            return list(self.keys(event))
        except Exception:  # `fold` tells of it
            return []

    def fold(self, rows: Mapping[str, Row], events: Iterable[RecordedEvent]) -> dict[str, Row]:
        """The rows that changed, by key, after these events."""
        current, changed = dict(rows), dict[str, Row]()
        for event in events:
            try:
                for key in self.keys(event):
                    row = self.evolve(current.get(key), event)
                    if row is not None:
                        current[key] = changed[key] = {**row, "key": key, "log_index": event.log_index}
            except Exception:  # a view goes on without an event it cannot show; the log has it all the same
                log.exception("event left out of a view", view=self.name, type=event.type, log_index=event.log_index)
                HANDLED.labels(f"projection:{self.name}", event.type, "left_out").inc()
        return changed


async def install(connection: Connection, projections: Sequence[Projection]) -> None:
    """Create tables and views. Needs an owner's connection."""
    for projection in projections:
        await connection.execute(projection.ddl)
    await connection.execute(
        """grant select, insert, update, delete on all tables in schema projection to hallmark_service;
           grant select on all tables in schema views to hallmark_service, hallmark_reader;"""
    )


class Projector:
    """Keeps one projection up to date; any number may run, the checkpoint's row lock lets one work."""

    def __init__(self, projection: Projection, pool: Pool, notifier: Notifier) -> None:
        self.projection, self._pool, self._notifier = projection, pool, notifier

    async def run(self) -> None:
        with closing(self._notifier.subscribe(SEALED)) as sealed:
            while True:
                try:
                    if not await self.advance():
                        await sealed.wait(1.0)
                except TRANSIENT as error:
                    log.warning("projection waits", projection=self.projection.name, reason=repr(error))
                    await asyncio.sleep(0.5)

    async def advance(self) -> int:
        """Fold the next batch in; the number of events read."""
        async with self._pool.acquire() as connection, connection.transaction():
            done = await connection.fetchval(
                "select log_index from work.projections where name = $1 for update skip locked", self.projection.table
            )
            if done is None:
                return 0
            rows = await connection.fetch(
                f"""select s.log_index, {EVENT_COLUMNS} from log.sealed s join log.events e using (position)
                     where s.log_index > $1 order by s.log_index limit {BATCH}""", done,
            )  # fmt: skip
            if rows:
                await self._apply(connection, [recorded(row) for row in rows])
            head = await connection.fetchval("select next_index - 1 from log.sealer_state")
        LAG.labels("projection", self.projection.name, 0).set(head - (rows[-1]["log_index"] if rows else done))
        return len(rows)

    async def _apply(self, connection: Connection, events: Sequence[RecordedEvent]) -> None:
        keys = sorted({key for event in events for key in self.projection.keys_of(event)})
        if keys:
            changed = self.projection.fold(await self._read(connection, keys), events)
            await self._write(connection, list(changed.values()))
        await connection.execute(
            "update work.projections set log_index = $2 where name = $1", self.projection.table, events[-1].log_index
        )
        await connection.execute("select pg_notify('projected', $1)", self.projection.name)

    async def _read(self, connection: Connection, keys: Sequence[str]) -> dict[str, Row]:
        rows = await connection.fetch(
            f"select key, to_jsonb(t) as row from projection.{self.projection.table} t where key = any($1)", keys
        )
        return {row["key"]: json.loads(row["row"]) for row in rows}

    async def _write(self, connection: Connection, rows: Sequence[Row]) -> None:
        table = f"projection.{self.projection.table}"
        columns = await connection.fetch(
            "select attname from pg_attribute where attrelid = $1::regclass and attnum > 1 and not attisdropped", table
        )
        assignments = ", ".join(f"{c['attname']} = excluded.{c['attname']}" for c in columns)
        await connection.execute(
            f"""insert into {table} select * from jsonb_populate_recordset(null::{table}, $1::jsonb)
                on conflict (key) do update set {assignments}""",
            json.dumps(rows, default=str).replace("\\u0000", "\\ufffd"),  # jsonb cannot hold NUL, events can
        )


async def wait_projected(pool: Pool, notifier: Notifier, projection: Projection, at_least: int, timeout: float) -> bool:
    """Until the projection has taken in the event with log index `at_least`. False at the timeout."""
    deadline = asyncio.get_running_loop().time() + timeout
    with closing(notifier.subscribe("projected")) as projected:
        while True:
            done = await pool.fetchval("select log_index from work.projections where name = $1", projection.table)
            left = deadline - asyncio.get_running_loop().time()
            if done is not None and done >= at_least:
                return True
            if left <= 0:
                return False
            await projected.wait(min(left, 0.25))
