"""Follows the log as its readers do, and holds every head of the tree against the ones before."""

import asyncio
from random import Random
from typing import Final

import asyncpg

from registry_core.hammer.book import Book
from registry_core.projections import Entry, Projection, Row
from registry_core.proofs.envelope import leaf_bytes
from registry_core.proofs.merkle import ProofError, TreeHead, leaf_hash, verify_consistency, verify_inclusion
from registry_core.proofs.tiles import Plan, plan_consistency, plan_head, plan_inclusion, rebuild_head
from registry_core.store.connections import TRANSIENT, Pool
from registry_core.store.postgres import EVENT_COLUMNS, recorded
from registry_core.store.tiles import read_entries

_BATCH: Final = 2000
_PAUSE: Final = 0.02
_LOG: Final = f"""
    select s.log_index, t.name as topic, s.partition, s.previous_index, {EVENT_COLUMNS}
      from log.sealed s join log.events e using (position) join log.topics t on t.number = s.topic
     where s.log_index >= $1 order by s.log_index limit $2"""


class Reader:
    """`run` reads what is new; `proofs` counts what was proven. Events are hashed here, not taken from the store."""

    def __init__(self, pool: Pool, book: Book, random: Random) -> None:
        self._pool, self._book, self._random = pool, book, random
        self._head = self._proven = TreeHead()
        self.proofs = 0

    async def run(self) -> None:
        while True:
            try:
                if not await self.advance() or self._head.size >= self._proven.size + _BATCH:
                    await self.prove()
                    await asyncio.sleep(_PAUSE)
            except (*TRANSIENT, asyncpg.PostgresError):
                await asyncio.sleep(0.1)

    async def advance(self) -> int:
        """Read the next events; how many."""
        rows = await self._pool.fetch(_LOG, self._book.next_index, _BATCH)
        leaves = []
        for row in rows:
            event = recorded(row)
            self._book.read(event, row["topic"], row["partition"], row["previous_index"])
            leaves.append(leaf_hash(leaf_bytes(event)))
        self._head, _ = self._head.append(leaves)
        return len(rows)

    async def prove(self) -> None:
        """The stored tree has the root of what was read, extends the one before, and holds any event."""
        old, new = self._proven, self._head
        if new.size == old.size:
            return
        try:
            stored = rebuild_head(new.size, await read_entries(self._pool, plan_head(new.size).reads))
            if stored.root != new.root:
                self._book.findings.add("stored tree is not the tree of the events read", f"size {new.size}")
            consistency = await self._compute(plan_consistency(old.size, new.size))
            verify_consistency(old.size, new.size, consistency, old.root, new.root)
            await self._prove_inclusion(self._random.randrange(new.size), new)
        except ProofError as error:
            self._book.findings.add("proof does not hold", error)
        self._proven = new
        self.proofs += 2

    async def _prove_inclusion(self, index: int, head: TreeHead) -> None:
        rows = await self._pool.fetch(_LOG, index, 1)
        leaf = leaf_hash(leaf_bytes(recorded(rows[0])))
        verify_inclusion(leaf, index, head.size, await self._compute(plan_inclusion(index, head.size)), head.root)

    async def _compute(self, plan: Plan) -> list[bytes]:
        return plan.compute(await read_entries(self._pool, plan.reads))


def _evolve(row: Row | None, event: Entry) -> Row:
    events, last, misplaced = (row["events"], row["last"], row["misplaced"]) if row else (0, -1, 0)
    index = event.log_index or 0
    return {"events": events + 1, "last": index, "misplaced": misplaced + (index <= last)}


STREAMS: Final = Projection(
    name="hammer_streams",
    version=1,
    columns="events integer, last bigint, misplaced integer",
    keys=lambda event: [event.stream],
    evolve=_evolve,
)
"""Counts each stream's events: an event folded twice, or not, or out of order, is seen in the end."""


async def check_projection(pool: Pool, book: Book) -> None:
    """Every event read was folded in exactly once."""
    rows = await pool.fetch(f"select key, events, misplaced from projection.{STREAMS.table}")
    folded = {row["key"]: row["events"] - 1 for row in rows}
    if folded != book.versions or any(row["misplaced"] for row in rows):
        wrong = [key for key in book.versions if folded.get(key) != book.versions[key]]
        book.findings.add("projection is not the fold of the log", ", ".join(wrong[:3]) or "events out of order")
