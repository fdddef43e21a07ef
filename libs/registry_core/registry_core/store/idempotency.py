"""What was sent with an Idempotency-Key, so that the key is not taken for something else."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from registry_core.store.connections import Connection, Pool

_LOOK_UP = """
    select a.seed, a.event_id, i.body_sha256, e.event_id is not null as written, s.log_index
      from unnest($1::uuid[], $2::uuid[]) a(seed, event_id)
      left join work.idempotency i on i.seed = a.seed
      left join log.events e on e.event_id = a.event_id
      left join log.sealed s on s.position = e.position"""
_CLAIM = """
    with quick as (select set_config('synchronous_commit', 'off', true))
    insert into work.idempotency (seed, body_sha256)
      select distinct on (c.seed) c.seed, c.digest from quick, unnest($1::uuid[], $2::bytea[]) c(seed, digest)
       order by c.seed
      on conflict do nothing returning seed, body_sha256"""
"""One statement, so that it is one round trip and a transaction of its own, which alone is not flushed."""
_HOLDERS = "select seed, body_sha256 from work.idempotency where seed = any($1)"


class Asked(NamedTuple):
    """A key's seed, and the first event that its request writes."""

    seed: UUID
    event: UUID


class Known(NamedTuple):
    """What there is under the key."""

    digest: bytes | None
    """Of the request that took the key; None: nobody did."""
    written: bool
    """Whether the event is in the store."""
    log_index: int | None


async def look_up(pool: Pool, asked: Sequence[Asked]) -> Mapping[Asked, Known]:
    rows = await pool.fetch(_LOOK_UP, [each.seed for each in asked], [each.event for each in asked])
    return {
        Asked(row["seed"], row["event_id"]): Known(row["body_sha256"], row["written"], row["log_index"]) for row in rows
    }


async def claim(pool: Pool, claims: Sequence[tuple[UUID, bytes]]) -> Mapping[tuple[UUID, bytes], bool]:
    """Remember requests under their keys, before anything is written; False when another one was faster.

    Not flushed: the write-ahead log is one sequence, so whatever the request writes after this, durable or not, is
    never there without it.
    """
    seeds = [seed for seed, _ in claims]
    holders = _by_seed(await pool.fetch(_CLAIM, seeds, [digest for _, digest in claims]))
    if earlier := [seed for seed in seeds if seed not in holders]:
        holders |= _by_seed(await pool.fetch(_HOLDERS, earlier))
    return {(seed, digest): holders.get(seed) == digest for seed, digest in claims}


def _by_seed(rows: Iterable[Any]) -> dict[UUID, bytes]:
    return {row["seed"]: row["body_sha256"] for row in rows}


async def forget(connection: Connection, seeds: Iterable[UUID]) -> None:
    """Forget requests: a digest of one that named a person could be compared with guesses."""
    await connection.execute("delete from work.idempotency where seed = any($1)", list(seeds))
