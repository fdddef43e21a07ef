"""Gives events their dense, gap-free order, with Merkle leaves, in one transaction per pass.

Why a snapshot difference and not a position or xid watermark: docs/decisions/0003.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import asyncpg
import structlog

from registry_core.events import topic_of
from registry_core.proofs.envelope import leaf_parts
from registry_core.proofs.merkle import TILE_HEIGHT, TreeHead, leaf_hash
from registry_core.proofs.tiles import plan_head, rebuild_head
from registry_core.store.connections import TRANSIENT, Connection, Pool
from registry_core.store.tiles import read_entries
from registry_core.telemetry import SEALED, UNSEALED

log = structlog.get_logger()

BATCH = 5000
BUSY_POLL, IDLE_POLL = 0.005, 0.05
"""Seconds between passes without a hint: another process's appends are sealed this late at worst."""
LONGEST_REST = 0.02
"""Seconds. After a pass the sealer rests for as long as it took: many small passes would slow the writers down."""
_BACKLOG = "select * from log.backlog($1, $2, $3, $4)"
_LOCK = "select log.try_sealer_lock() as locked, next_index from log.sealer_state"
_LEAF = slice(4, None)
"""Columns of log.unsealed that make the leaf, in the order of `leaf_parts`."""


def partition_of(stream: str, partitions: int) -> int:
    """The Kafka partition of a stream's events: one stream, one partition, one order."""
    return zlib.crc32(stream.encode()) % partitions


@dataclass(frozen=True, slots=True)
class _Tip:
    head: TreeHead
    previous: dict[tuple[str, int], int]


class Sealer:
    """`run` seals for ever; any number may run, the advisory lock lets one work."""

    def __init__(self, pool: Pool, partitions: int) -> None:
        self._pool, self._partitions = pool, partitions
        self._tip: _Tip | None = None
        self._ahead: list[asyncpg.Record] = []
        self._hint = asyncio.Event()

    def wake(self) -> None:
        """There is something to seal."""
        self._hint.set()

    async def run(self) -> None:
        idle, prepared = 0, False
        while True:
            self._hint.clear()
            started = monotonic()
            try:
                prepared = prepared or await self._prepare()
                sealed = await self.seal_once()
            except (*TRANSIENT, asyncpg.RaiseError) as error:
                log.warning("sealing starts over", reason=repr(error))
                sealed = 0
                await asyncio.sleep(0.2)
            idle = 0 if sealed else idle + 1
            if 0 < sealed < BATCH:
                await asyncio.sleep(min(monotonic() - started, LONGEST_REST))
            elif not sealed:
                await self._pause(BUSY_POLL if idle < 200 else IDLE_POLL)

    async def _prepare(self) -> bool:
        if await self._pool.fetchval("select log.rewind_sealer_after_restore()"):
            log.warning("the database is a restored one: looking at every event once")
        return True

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hint.wait()

    async def seal_once(self) -> int:
        """Seal what can be seen now; how many events that was (0 also when another sealer holds the lock)."""
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                [state] = await connection.fetch(_LOCK)
                if not state["locked"] or (self._tip and self._tip.head.size != state["next_index"]):
                    self._forget()  # somebody else is sealing, or was
                return await self._seal(connection) if state["locked"] else 0
        except BaseException:
            self._forget()  # what the database kept of this pass is unknown
            raise

    def _forget(self) -> None:
        self._tip, self._ahead = None, []

    async def _seal(self, connection: Connection) -> int:
        rows = self._ahead or await connection.fetch("select * from log.unsealed($1)", BATCH)
        if not rows:
            UNSEALED.set(0)
            return 0
        if self._tip is None:
            self._tip = await _load_tip(connection, rows[0]["first_index"])
        async with self._reading_ahead(rows) as ahead:
            tip, arguments = self._next(self._tip, rows)
            await connection.execute("select log.seal($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)", *arguments)
            self._tip, self._ahead = tip, await ahead
        SEALED.inc(len(rows))
        UNSEALED.set((datetime.now(UTC) - rows[0]["recorded_at"]).total_seconds())
        return len(rows)

    @asynccontextmanager
    async def _reading_ahead(self, rows: list[asyncpg.Record]) -> AsyncIterator[Awaitable[list[asyncpg.Record]]]:
        """Of a backlog, what follows these rows: the server finds it while the leaves of these are made and written."""
        ahead = asyncio.create_task(
            self._read_after(rows[-1]["event_position"], rows[0]["highest"], rows[0]["snapshot"])
        )
        try:
            await asyncio.sleep(0)  # so that the query is on its way
            yield ahead
        finally:
            ahead.cancel()
            with suppress(asyncio.CancelledError, asyncpg.PostgresError, OSError):
                await ahead

    async def _read_after(self, position: int, highest: int | None, snapshot: str) -> list[asyncpg.Record]:
        """Nothing where no backlog goes on, or no connection is free: the next pass reads for itself then."""
        if highest is not None and position < highest:
            with suppress(TimeoutError):
                async with self._pool.acquire(timeout=1.0) as spare:
                    return await spare.fetch(_BACKLOG, BATCH, position, highest, snapshot)
        return []

    def _next(self, tip: _Tip, rows: list[asyncpg.Record]) -> tuple[_Tip, tuple[Any, ...]]:
        previous, before, topics, partitions, leaves = dict(tip.previous), [], [], [], []
        for log_index, row in enumerate(rows, tip.head.size):
            home = (topic_of(row["type"]), partition_of(row["stream_id"], self._partitions))
            before.append(previous.get(home, -1))
            previous[home] = log_index
            topics.append(home[0])
            partitions.append(home[1])
            start, rest = leaf_parts(log_index, *row[_LEAF])
            leaves.append(leaf_hash(f"{start},{rest}".encode()))
        head, entries = tip.head.append(leaves)
        return _Tip(head, previous), (
            tip.head.size,
            rows[0]["snapshot"],
            rows[0]["highest"],
            [row["event_position"] for row in rows],
            topics,
            partitions,
            before,
            leaves,
            [entry.level for entry in entries],
            [entry.index >> TILE_HEIGHT for entry in entries],
            [entry.hash for entry in entries],
        )


async def _load_tip(connection: Connection, size: int) -> _Tip:
    head = rebuild_head(size, await read_entries(connection, plan_head(size).reads))
    heads = await connection.fetch("select topic, partition, log_index from log.partition_heads")
    return _Tip(head, {(row["topic"], row["partition"]): row["log_index"] for row in heads})
