"""A small projection in several versions, a log to fold, and what a reader of its view may never see."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import asyncpg
from registry_core import projections
from registry_core.events.versions import MetadataAmended
from registry_core.notifier import Notifier
from registry_core.projections import Entry, Projection, Projector, Row, commands, stands_at, types_of
from registry_core.projections.commands import TableState
from registry_core.store import ANY, Append
from registry_core.store.connections import Pool
from registry_core.store.postgres import PostgresEventStore
from registry_core.store.sealer import Sealer
from registry_core.values import Metadata
from support import new, until


def _count(row: Row | None, event: Entry) -> Row:
    data = event.data
    assert isinstance(data, MetadataAmended)
    return {**(row or {}), "amended": (row["amended"] if row else 0) + 1, "owner": data.metadata.owner}


def _count_and_name(row: Row | None, event: Entry) -> Row:
    return {**_count(row, event), "last_actor": event.actor}


def _count_in_words(row: Row | None, event: Entry) -> Row:
    counted = _count({"amended": int(row["amended"])} if row else None, event)
    return {"amended": str(counted["amended"])}


TALLY = Projection(
    "tally", 1, "amended integer, owner text", lambda event: [event.stream], _count,
    types=types_of(MetadataAmended), indexes={"by_owner": "owner"},
)  # fmt: skip
WIDER = replace(TALLY, version=2, columns="amended integer, owner text, last_actor text", evolve=_count_and_name)
"""A column more."""
OTHER = replace(TALLY, version=3, columns="amended text", evolve=_count_in_words, indexes={})
"""A column less, and another type."""


def ref(number: int) -> str:
    return f"model:tally-{number}@1.0.0"


@dataclass
class Log:
    """A log that is sealed as it grows, and the projections that are run on it."""

    pool: Pool
    owner_dsn: str
    notifier: Notifier
    running: list[asyncio.Task[None]] = field(default_factory=list)

    async def install(self, *wanted: Projection) -> None:
        connection = await asyncpg.connect(self.owner_dsn)
        try:
            await projections.install(connection, wanted)
        finally:
            await connection.close()

    async def amend(self, count: int, streams: int = 50, owner: str = "ines") -> int:
        """So many changes, spread over streams; the log index of the last one."""
        events = [new(MetadataAmended(ref=ref(n % streams), metadata=Metadata(owner=owner))) for n in range(count)]
        mine: dict[str, list[Any]] = {}
        for event in events:
            mine.setdefault(event.data.ref, []).append(event)  # type: ignore[attr-defined]
        await PostgresEventStore(self.pool).append(*(Append(stream, batch, ANY) for stream, batch in mine.items()))
        return await self.seal()

    async def seal(self) -> int:
        async with asyncpg.create_pool(self.owner_dsn, min_size=1, max_size=2) as owner:
            sealer = Sealer(owner, 4)
            while await sealer.seal_once():
                pass
        head = await self.pool.fetchval("select next_index - 1 from log.sealer_state")
        self.notifier.wake("sealed")
        return int(head)

    def run(self, *wanted: Projection, pool: Pool | None = None) -> None:
        """What a service does."""
        self.running.append(asyncio.create_task(Projector(wanted, pool or self.pool, self.notifier).run()))

    async def stop(self) -> None:
        """As if the service were gone."""
        for task in self.running:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self.running, return_exceptions=True)
        self.running.clear()

    async def caught_up(self, projection: Projection = TALLY) -> None:
        head = await self.pool.fetchval("select next_index - 1 from log.sealer_state")
        assert await projections.wait_projected(self.pool, self.notifier, projection, head, 30)

    async def tables(self, name: str = "tally") -> dict[str, TableState]:
        return {table.table: table for table in await commands.list_tables(self.pool, name)}

    async def live(self, name: str = "tally") -> TableState:
        return next(t for t in (await self.tables(name)).values() if t.state == "live")

    async def shows(self, table: str, name: str = "tally") -> None:
        """Wait until the view shows this table."""

        async def shown() -> bool:
            return (await self.live(name)).table == table

        await until(shown, 60)

    async def view(self, name: str = "tally") -> dict[str, Row]:
        rows = await self.pool.fetch(f"select to_jsonb(t) as row from views.{name} t")
        return {row["key"]: row for row in (json.loads(r["row"]) for r in rows)}

    async def folded(self, projection: Projection) -> dict[str, Row]:
        """What the view has to show: the whole log folded in memory."""
        log = await PostgresEventStore(self.pool).read_log(0, 10_000_000)
        wanted = [event for event in log if projection.types is None or event.type in projection.types]
        found: dict[str, Row] = json.loads(json.dumps(projection.fold({}, wanted), default=str))
        return found

    async def at(self, projection: Projection = TALLY) -> int:
        return await stands_at(self.pool, projection)


@asynccontextmanager
async def a_log(pool: Pool, owner_dsn: str, service_dsn: str) -> AsyncIterator[Log]:
    notifier = Notifier(service_dsn)
    listening = asyncio.create_task(notifier.run())
    log = Log(pool, owner_dsn, notifier)
    try:
        yield log
    finally:
        await log.stop()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


class Watcher:
    """A dashboard that reads a view again and again, as the role for dashboards, and forgives nothing."""

    def __init__(self, dsn: str, query: str = "select key, log_index, amended::integer from views.tally") -> None:
        self._dsn, self._query = dsn, query
        self.reads, self.failed, self.backwards = 0, list[str](), list[str]()
        self._seen = dict[str, tuple[int, int]]()
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        connection = await asyncpg.connect(self._dsn)
        try:
            while True:
                try:
                    self._look(await connection.fetch(self._query))
                except asyncpg.PostgresError as error:
                    self.failed.append(repr(error))
        finally:
            await connection.close()

    def _look(self, rows: Sequence[Any]) -> None:
        self.reads += 1
        now = {key: (log_index, amended) for key, log_index, amended in rows}
        for key, before in self._seen.items():
            if key not in now or now[key] < before or now[key][1] < before[1]:
                self.backwards.append(f"{key}: {before} became {now.get(key)}")
        self._seen = now

    async def stop(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
