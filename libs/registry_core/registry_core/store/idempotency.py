"""What was sent with an Idempotency-Key, so that the key is not taken for something else."""

from collections.abc import Iterable
from uuid import UUID

from registry_core.store.postgres import Connection, Pool


async def same_request(pool: Pool, seed: UUID, digest: bytes) -> bool:
    """Whether nothing, or this very request, was written under the key."""
    known: bytes | None = await pool.fetchval("select body_sha256 from work.idempotency where seed = $1", seed)
    return known is None or known == digest


async def claim(pool: Pool, seed: UUID, digest: bytes) -> bool:
    """Remember the request under its key, before anything is written; False when another one was faster."""
    await pool.execute(
        "insert into work.idempotency (seed, body_sha256) values ($1, $2) on conflict do nothing", seed, digest
    )
    return await same_request(pool, seed, digest)


async def forget(connection: Connection, seeds: Iterable[UUID]) -> None:
    """Forget requests: a digest of one that named a person could be compared with guesses."""
    await connection.execute("delete from work.idempotency where seed = any($1)", list(seeds))
