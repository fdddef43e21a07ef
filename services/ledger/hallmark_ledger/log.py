"""Reads of the sealed log: events, proofs, checkpoints."""

from dataclasses import dataclass
from typing import Any

from registry_core.proofs.envelope import to_record
from registry_core.proofs.tiles import plan_consistency, plan_inclusion
from registry_core.store.connections import Connection, Pool
from registry_core.store.postgres import EVENT_COLUMNS, recorded
from registry_core.store.tiles import StoredTree

MOST_CHECKPOINTS = 1000


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    size: int
    root: bytes
    note: str
    """As this log signed it."""
    cosignatures: str
    """Further lines, of witnesses."""

    @property
    def origin(self) -> str:
        return self.note.partition("\n")[0]

    @property
    def cosigned(self) -> str:
        """The note with what witnesses have added to it until now."""
        return self.note + self.cosignatures


_CHECKPOINT = """
    select c.size, c.root, c.note, coalesce(
             (select string_agg(w.line, '' order by w.vkey) from log.cosignatures w where w.size = c.size), ''
           ) as cosignatures
      from log.checkpoints c where starts_with(c.note, $1 || E'\n') and c.size > $2 order by c.size"""
"""Of the log of this origin: a log that went on under another name after a loss has those of before, too."""


async def latest_checkpoint(pool: Connection | Pool, origin: str) -> StoredCheckpoint | None:
    row = await pool.fetchrow(f"{_CHECKPOINT} desc limit 1", origin, -1)
    return StoredCheckpoint(**row) if row else None


async def checkpoints_over(
    pool: Connection | Pool, origin: str, size: int, limit: int = MOST_CHECKPOINTS
) -> list[StoredCheckpoint]:
    """Those of more than `size` events, the smallest first."""
    rows = await pool.fetch(f"{_CHECKPOINT} limit $3", origin, size, limit)
    return [StoredCheckpoint(**row) for row in rows]


async def checkpoint_over(pool: Connection | Pool, origin: str, log_index: int) -> StoredCheckpoint | None:
    """The newest checkpoint whose tree holds the event; of those that a witness cosigned, if there is one."""
    cosigned = await pool.fetchval("select max(size) from log.cosignatures where size > $1", log_index)
    if cosigned and (found := await checkpoints_over(pool, origin, cosigned - 1, 1)):
        return found[0]
    newest = await latest_checkpoint(pool, origin)
    return newest if newest and newest.size > log_index else None


async def largest_checkpoint(pool: Connection | Pool) -> StoredCheckpoint | None:
    """Of whatever name the log had when it was signed."""
    row = await pool.fetchrow(
        "select size, root, note, '' as cosignatures from log.checkpoints order by size desc limit 1"
    )
    return StoredCheckpoint(**row) if row else None


async def inclusion_proof(tree: StoredTree, log_index: int, size: int) -> list[bytes]:
    """Raises ProofError when the index is not in a tree of that size."""
    [proof] = await tree.compute(plan_inclusion(log_index, size))
    return proof


async def consistency_proof(tree: StoredTree, old_size: int, new_size: int) -> list[bytes]:
    """Raises ProofError when the new tree is smaller."""
    [proof] = await tree.compute(plan_consistency(old_size, new_size))
    return proof


@dataclass(frozen=True, slots=True)
class StoredEntry:
    log_index: int
    leaf: bytes
    record: dict[str, Any] | None
    """As in exports; None where the event's row is gone."""


async def stored_entries(pool: Connection | Pool, first: int, limit: int) -> list[StoredEntry]:
    """What stands at each place of the log, for a verifier: nothing here is checked or mended."""
    rows = await pool.fetch(
        f"""select s.log_index, s.leaf_hash, e.position as found, {EVENT_COLUMNS}
              from log.sealed s left join log.events e using (position)
             where s.log_index >= $1 order by s.log_index limit $2""", first, limit,
    )  # fmt: skip
    return [
        StoredEntry(row["log_index"], row["leaf_hash"], None if row["found"] is None else to_record(recorded(row)))
        for row in rows
    ]


async def log_size(pool: Connection | Pool) -> int:
    size: int = await pool.fetchval("select next_index from log.sealer_state")
    return size
