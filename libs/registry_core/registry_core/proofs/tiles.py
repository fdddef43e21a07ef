"""Proofs from a stored tree, kept as tiles, as C2SP tlog-tiles has them, but of height 4.

Stored are *entries*: at tile level 0 the leaf hashes, at level L+1 entry i the root of the full tile i of level L, i.e.
of 16 entries. An entry, once written, never changes. Any storage can serve: a `Plan` first tells which entry ranges it
`reads`, then `compute`s from them; both steps are pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from registry_core.proofs.merkle import TILE_HEIGHT, ProofError, TreeHead, check_growth, check_index, fold

Hashes = Mapping[tuple[int, int], bytes]
"""Entries by (tile level, index)."""
Subtree = tuple[int, int]
"""(height, index) of a complete subtree; its root never changes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The subtrees, as ranges of leaves, whose roots are wanted."""

    spans: tuple[range, ...]

    @property
    def subtrees(self) -> set[Subtree]:
        """The complete subtrees that make up the spans."""
        return {subtree for span in self.spans for subtree in _subtrees(span)}

    @property
    def reads(self) -> dict[int, list[range]]:
        """Entry ranges to read, by tile level; see `reads_of`."""
        return reads_of(self.subtrees)

    def compute(self, hashes: Hashes) -> list[bytes]:
        """The roots of the spans, e.g. the proof. Raises ProofError when an entry of `reads` is missing."""
        return self.fold({subtree: subtree_root(subtree, hashes) for subtree in self.subtrees})

    def fold(self, roots: Mapping[Subtree, bytes]) -> list[bytes]:
        """The same, from the roots of `subtrees`."""
        return [fold([roots[subtree] for subtree in _subtrees(span)]) for span in self.spans]


def plan_inclusion(index: int, size: int) -> Plan:
    """The inclusion proof of leaf `index` in a tree of `size` leaves (RFC 6962, 2.1.1). Raises ProofError."""
    check_index(index, size)
    start, stop, spans = 0, size, []
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            spans.append(range(middle, stop))
            stop = middle
        else:
            spans.append(range(start, middle))
            start = middle
    return Plan(tuple(reversed(spans)))


def plan_consistency(old_size: int, new_size: int) -> Plan:
    """The proof that a tree of `new_size` leaves extends one of `old_size` (RFC 6962, 2.1.2). Raises ProofError."""
    check_growth(old_size, new_size)
    start, stop, spans = 0, new_size, []
    while old_size not in (0, stop):
        middle = start + _split(stop - start)
        if old_size <= middle:
            spans.append(range(middle, stop))
            stop = middle
        else:
            spans.append(range(start, middle))
            start = middle
    if start:  # else the old tree is itself one of the new tree's subtrees, and its root is known
        spans.append(range(start, old_size))
    return Plan(tuple(reversed(spans)))


def plan_head(size: int) -> Plan:
    """What `rebuild_head` needs, for any size up to the stored one."""
    return Plan(tuple(range(index << height, (index + 1) << height) for height, index in _subtrees(range(size))))


def rebuild_head(size: int, hashes: Hashes) -> TreeHead:
    """The tree as it was at `size`, to append to or to take a past root from; `hashes` as `plan_head(size)` reads."""
    return TreeHead(size, tuple(plan_head(size).compute(hashes)))


def reads_of(subtrees: Iterable[Subtree]) -> dict[int, list[range]]:
    """The entries under subtrees, by tile level: ascending disjoint ranges."""
    merged: dict[int, list[range]] = {}
    for level, start, stop in sorted({_entries(subtree) for subtree in subtrees}):
        ranges = merged.setdefault(level, [])
        if ranges and start <= ranges[-1].stop:
            ranges[-1] = range(ranges[-1].start, max(ranges[-1].stop, stop))
        else:
            ranges.append(range(start, stop))
    return merged


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def _subtrees(span: range) -> Iterator[Subtree]:
    """The complete subtrees that make up a span, the largest first."""
    start = span.start
    while start < span.stop:
        height = (span.stop - start).bit_length() - 1
        yield height, start >> height
        start += 1 << height


def _entries(subtree: Subtree) -> tuple[int, int, int]:
    """(tile level, start, stop) of the entries under a complete subtree."""
    height, index = subtree
    level, above = divmod(height, TILE_HEIGHT)
    return level, index << above, (index + 1) << above


def subtree_root(subtree: Subtree, hashes: Hashes) -> bytes:
    """From the entries that `reads_of` names. Raises ProofError when one is missing."""
    level, start, stop = _entries(subtree)
    try:
        row = [hashes[level, entry] for entry in range(start, stop)]
    except KeyError as missing:
        raise ProofError(
            f"the tile entry (level, index) {missing} was not read; read all that the plan names"
        ) from None
    while len(row) > 1:
        row = [sha256(b"\x01" + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=True)]
    return row[0]
