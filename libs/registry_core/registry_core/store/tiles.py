"""Reads Merkle tile entries: level 0 from `log.sealed`, the levels above from `log.tiles`."""

from collections.abc import Mapping, Sequence

from registry_core.proofs.merkle import HASH_SIZE, TILE_HEIGHT
from registry_core.store.connections import Connection, Pool

WIDTH = 1 << TILE_HEIGHT


async def read_entries(
    connection: Connection | Pool, reads: Mapping[int, Sequence[range]]
) -> dict[tuple[int, int], bytes]:
    """The entries of `Plan.reads`, with one query per level."""
    found: dict[tuple[int, int], bytes] = {}
    for level, ranges in reads.items():
        found |= await (_leaves(connection, ranges) if level == 0 else _tiles(connection, level, ranges))
    return found


async def _leaves(connection: Connection | Pool, ranges: Sequence[range]) -> dict[tuple[int, int], bytes]:
    rows = await connection.fetch(
        """select s.log_index, s.leaf_hash from unnest($1::bigint[], $2::bigint[]) r(first, stop)
             join log.sealed s on s.log_index >= r.first and s.log_index < r.stop""",
        [r.start for r in ranges], [r.stop for r in ranges],
    )  # fmt: skip
    return {(0, row["log_index"]): row["leaf_hash"] for row in rows}


async def _tiles(connection: Connection | Pool, level: int, ranges: Sequence[range]) -> dict[tuple[int, int], bytes]:
    wanted = {tile for r in ranges for tile in range(r.start // WIDTH, (r.stop - 1) // WIDTH + 1)}
    rows = await connection.fetch(
        "select index, hashes from log.tiles where level = $1 and index = any($2)", level, sorted(wanted)
    )
    return {
        (level, row["index"] * WIDTH + n): row["hashes"][n * HASH_SIZE : (n + 1) * HASH_SIZE]
        for row in rows
        for n in range(len(row["hashes"]) // HASH_SIZE)
    }
