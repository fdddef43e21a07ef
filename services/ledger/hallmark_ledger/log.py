"""Reads of the sealed log: events, proofs, checkpoints."""

from dataclasses import dataclass

from registry_core.proofs.tiles import plan_consistency, plan_inclusion
from registry_core.store.postgres import Pool
from registry_core.store.tiles import read_entries


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    size: int
    root: bytes
    note: str


async def latest_checkpoint(pool: Pool) -> StoredCheckpoint | None:
    row = await pool.fetchrow("select size, root, note from log.checkpoints order by size desc limit 1")
    return StoredCheckpoint(**row) if row else None


async def first_checkpoint_over(pool: Pool, log_index: int) -> StoredCheckpoint | None:
    """The oldest checkpoint whose tree holds the event."""
    row = await pool.fetchrow(
        "select size, root, note from log.checkpoints where size > $1 order by size limit 1", log_index
    )
    return StoredCheckpoint(**row) if row else None


async def inclusion_proof(pool: Pool, log_index: int, size: int) -> list[bytes]:
    """Raises ProofError when the index is not in a tree of that size."""
    plan = plan_inclusion(log_index, size)
    return plan.compute(await read_entries(pool, plan.reads))


async def consistency_proof(pool: Pool, old_size: int, new_size: int) -> list[bytes]:
    """Raises ProofError when the new tree is smaller."""
    plan = plan_consistency(old_size, new_size)
    return plan.compute(await read_entries(pool, plan.reads))


async def log_size(pool: Pool) -> int:
    size: int = await pool.fetchval("select next_index from log.sealer_state")
    return size
