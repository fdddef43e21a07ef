"""Reads Merkle tile entries: level 0 from `log.sealed`, the levels above from `log.tiles`."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from registry_core.proofs.merkle import HASH_SIZE, TILE_HEIGHT
from registry_core.proofs.tiles import Plan, Subtree, reads_of, subtree_root
from registry_core.store.connections import Connection, Pool

WIDTH = 1 << TILE_HEIGHT
KEPT = 50_000
"""Roots of subtrees in memory, about 10 MB: of ten million events all that take long to compute."""
_ENTRIES = "select * from log.tree_entries($1, $2, $3, $4)"


async def read_entries(
    connection: Connection | Pool, reads: Mapping[int, Sequence[range]]
) -> dict[tuple[int, int], bytes]:
    """The entries of `Plan.reads`, and the others of their tiles, in one query."""
    leaves = reads.get(0, ())
    tiles = sorted(
        {
            (level, tile)
            for level, ranges in reads.items()
            if level
            for r in ranges
            for tile in range(r.start // WIDTH, (r.stop - 1) // WIDTH + 1)
        }
    )
    rows = await connection.fetch(
        _ENTRIES, [r.start for r in leaves], [r.stop for r in leaves], [level for level, _ in tiles],
        [tile for _, tile in tiles],
    )  # fmt: skip
    return {
        (level, first + n): hashes[n * HASH_SIZE : (n + 1) * HASH_SIZE]
        for level, first, hashes in rows
        for n in range(len(hashes or b"") // HASH_SIZE)
    }


class StoredTree:
    """The tree of the sealed log. The root of a complete subtree never changes: those asked for last are kept."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._kept = OrderedDict[Subtree, bytes]()

    async def compute(self, *plans: Plan) -> list[list[bytes]]:
        """What each plan computes, with one query for all. Raises ProofError where the log is shorter than a plan."""
        wanted = {subtree for plan in plans for subtree in plan.subtrees}
        roots = {subtree: self._kept[subtree] for subtree in wanted & self._kept.keys()}
        if missing := wanted - roots.keys():
            entries = await read_entries(self._pool, reads_of(missing))
            roots |= {subtree: subtree_root(subtree, entries) for subtree in missing}
        self._keep(roots)
        return [plan.fold(roots) for plan in plans]

    def _keep(self, roots: Mapping[Subtree, bytes]) -> None:
        for subtree, root in roots.items():
            self._kept[subtree] = root
            self._kept.move_to_end(subtree)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
