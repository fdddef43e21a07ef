"""Gives events their dense, gap-free order, with their places in the Merkle tree, in one call per pass.

Why a snapshot difference and not a position or xid watermark: docs/decisions/0003. Why the server makes the leaves:
docs/decisions/0023, and the tree: docs/decisions/0024.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic

import asyncpg
import structlog

from registry_core.events import event_types, topic_of
from registry_core.store.connections import TRANSIENT, Pool
from registry_core.telemetry import SEALED, UNSEALED

log = structlog.get_logger()

BATCH = 5000
BUSY_POLL, IDLE_POLL = 0.005, 0.05
"""Seconds between passes without a hint: another process's appends are sealed this late at worst."""
WENT_BACK = (
    "if a backup was restored or a replica took over, recover what is missing (docs/backup.md); then start the ledger "
    "anew: it asks its witnesses before it seals"
)
DAMAGED = (
    "keep everything as it is: `hallmark audit verify --live` says which events are gone; recover them "
    "(docs/backup.md), and it goes on by itself"
)
LONGEST_REST = 0.02
"""Seconds. After a pass the sealer rests for as long as it took: many small passes would slow the writers down."""
_SEAL = "select * from log.seal($1, $2, $3, $4)"


class LogWentBackError(Exception):
    """The database has fewer sealed events than this process saw committed: it is another one, or an older state."""

    def __init__(self, had: int, has: int) -> None:
        super().__init__(f"the log had {had} sealed events and has {has}")


async def _at_once() -> None:
    """Nobody has to agree."""


class Sealer:
    """`run` seals for ever; any number may run, a lock lets one work.

    It seals only while `agreed` returns: the ledger's witnesses hold nothing against the log.
    """

    def __init__(self, pool: Pool, partitions: int, agreed: Callable[[], Awaitable[None]] = _at_once) -> None:
        self._pool, self._partitions, self._agreed = pool, partitions, agreed
        self._topics = Topics()
        self._most = 0
        """Sealed events that were seen to be committed."""
        self._hint = asyncio.Event()

    def wake(self) -> None:
        """There is something to seal."""
        self._hint.set()

    async def run(self) -> None:
        idle, prepared = 0, False
        while True:
            self._hint.clear()
            await self._agreed()
            started = monotonic()
            try:
                prepared = prepared or await self._prepare()
                sealed = await self.seal_once()
            except (*TRANSIENT, asyncpg.RaiseError) as error:
                log.warning("sealing starts over", reason=repr(error))
                sealed = 0
                await asyncio.sleep(0.2)
            except (LogWentBackError, asyncpg.DataCorruptedError) as error:
                fix = WENT_BACK if isinstance(error, LogWentBackError) else DAMAGED
                log.critical("nothing is sealed", reason=str(error), fix=fix)
                sealed = 0
                await asyncio.sleep(5)
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
            found = await self._seal()
        except BaseException:
            self._topics = Topics()  # what this database knows of them may be another's
            raise
        if found is None:
            return 0
        if found["sealed_to"] < self._most:
            raise LogWentBackError(self._most, found["sealed_to"])
        self._most = found["sealed_to"]
        _tell(found)
        return self._most - int(found["sealed_from"])

    async def _seal(self) -> asyncpg.Record | None:
        """What the pass came to; None while another sealer is at work."""
        unknown = set[str]()
        while True:
            numbers = self._topics.numbers or await self._topics.load(self._pool)
            found = await self._pool.fetchrow(_SEAL, BATCH, self._partitions, numbers, self._most)
            if found is None or not found["unknown_types"]:
                return found
            unknown.update(found["unknown_types"])  # of this pass: `load` forgets those of earlier ones
            await self._topics.load(self._pool, unknown)


def _tell(found: asyncpg.Record) -> None:
    SEALED.inc(found["sealed_to"] - found["sealed_from"])
    oldest = found["oldest"]
    UNSEALED.set((datetime.now(UTC) - oldest).total_seconds() if oldest else 0)


class Topics:
    """The number of each event type's topic, as the server takes it."""

    def __init__(self) -> None:
        self.numbers = ""
        """JSON object, number by event type; empty until loaded."""

    async def load(self, pool: Pool, unknown: Iterable[str] = ()) -> str:
        """Of all types that this build knows, and of these that it does not."""
        topics = {name: topic_of(name) for name in (*event_types(), *unknown)}
        rows = await pool.fetch("select * from log.add_topics($1)", sorted(set(topics.values())))
        known = {row["name"]: row["number"] for row in rows}
        self.numbers = json.dumps({name: known[topic] for name, topic in topics.items()})
        return self.numbers
