"""Gives events their dense, gap-free order, with Merkle leaves, in one transaction per pass.

Why a snapshot difference and not a position or xid watermark: docs/decisions/0003. Why the server makes the leaves:
docs/decisions/0023.
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
from registry_core.proofs.merkle import HASH_SIZE, TILE_HEIGHT, ProofError, TreeHead
from registry_core.proofs.tiles import plan_head, rebuild_head
from registry_core.store.connections import TRANSIENT, Connection, Pool
from registry_core.store.tiles import read_entries
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
_LOCK = "select log.try_sealer_lock() as locked, next_index from log.sealer_state"
_NUMBER = "select * from log.number_unsealed($1, $2, $3)"
_SEAL = "select log.seal($1, $2, $3, $4, $5, $6, $7, $8)"


class LogWentBackError(Exception):
    """The database has fewer sealed events than this process saw committed: it is another one, or an older state."""

    def __init__(self, had: int, has: int) -> None:
        super().__init__(f"the log had {had} sealed events and has {has}")


async def _at_once() -> None:
    """Nobody has to agree."""


class Sealer:
    """`run` seals for ever; any number may run, the advisory lock lets one work.

    It seals only while `agreed` returns: the ledger's witnesses hold nothing against the log.
    """

    def __init__(self, pool: Pool, partitions: int, agreed: Callable[[], Awaitable[None]] = _at_once) -> None:
        self._pool, self._partitions, self._agreed = pool, partitions, agreed
        self._head: TreeHead | None = None
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
            except (LogWentBackError, ProofError) as error:
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
            async with self._pool.acquire() as connection, connection.transaction():
                [state] = await connection.fetch(_LOCK)
                if state["next_index"] < self._most:
                    raise LogWentBackError(self._most, state["next_index"])  # noqa: TRY301 - the handler forgets, too
                self._most = state["next_index"]
                if not state["locked"] or (self._head and self._head.size != state["next_index"]):
                    self._head = None  # somebody else is sealing, or was
                return await self._seal(connection) if state["locked"] else 0
        except BaseException:
            self._head, self._topics = None, Topics()  # what the database kept of this pass is unknown
            raise

    async def _seal(self, connection: Connection) -> int:
        found = await self._number(connection)
        if not found:
            UNSEALED.set(0)
            return 0
        first: int = found["first_index"]
        hashes: bytes = found["leaf_hashes"]
        before = self._head or await _load_head(connection, first)
        self._head, entries = before.append([hashes[n : n + HASH_SIZE] for n in range(0, len(hashes), HASH_SIZE)])
        await connection.execute(
            _SEAL, first, self._head.size, found["snapshot"], found["highest"], found["last"],
            [entry.level for entry in entries], [entry.index >> TILE_HEIGHT for entry in entries],
            [entry.hash for entry in entries],
        )  # fmt: skip
        SEALED.inc(self._head.size - first)
        UNSEALED.set((datetime.now(UTC) - found["oldest"]).total_seconds())
        return self._head.size - first

    async def _number(self, connection: Connection) -> asyncpg.Record | None:
        """The next events, numbered; None if there are none."""
        unknown = set[str]()
        while True:
            numbers = self._topics.numbers or await self._topics.load(connection)
            found = await connection.fetchrow(_NUMBER, BATCH, self._partitions, numbers)
            if found is None or not found["unknown_types"]:
                return found
            unknown.update(found["unknown_types"])  # of this pass: `load` forgets those of earlier ones
            await self._topics.load(connection, unknown)


class Topics:
    """The number of each event type's topic, as the server takes it."""

    def __init__(self) -> None:
        self.numbers = ""
        """JSON object, number by event type; empty until loaded."""

    async def load(self, connection: Connection, unknown: Iterable[str] = ()) -> str:
        """Of all types that this build knows, and of these that it does not."""
        topics = {name: topic_of(name) for name in (*event_types(), *unknown)}
        rows = await connection.fetch("select * from log.add_topics($1)", sorted(set(topics.values())))
        known = {row["name"]: row["number"] for row in rows}
        self.numbers = json.dumps({name: known[topic] for name, topic in topics.items()})
        return self.numbers


async def _load_head(connection: Connection, size: int) -> TreeHead:
    return rebuild_head(size, await read_entries(connection, plan_head(size).reads))
