"""Merkle trees of RFC 6962 / RFC 9162: hashing, appending, verifying. `tiles` makes the proofs from stored hashes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

TILE_HEIGHT = 4
"""Of stored tiles: low, so that a proof reads few hashes (docs/decisions/0024)."""
HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()


class ProofError(ValueError):
    """A proof that does not prove; the message says where it fails."""


@dataclass(frozen=True, slots=True)
class TileEntry:
    """A hash to store at tile level >= 1: the root of the full tile `index` of the level below."""

    level: int
    index: int
    hash: bytes


def leaf_hash(data: bytes) -> bytes:
    """RFC 6962, 2.1: SHA-256 of 0x00 and the leaf."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962, 2.1: SHA-256 of 0x01 and both children."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class TreeHead:
    """All that appending needs of a tree: its size and the roots of its complete subtrees, the largest first."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if len(self.peaks) != self.size.bit_count():
            raise ValueError(f"a tree of {self.size} leaves has {self.size.bit_count()} peaks, not {len(self.peaks)}")

    @property
    def root(self) -> bytes:
        return fold(self.peaks) if self.peaks else EMPTY_ROOT

    def append(self, leaf_hashes: Sequence[bytes]) -> tuple["TreeHead", list[TileEntry]]:
        """The tree grown by `leaf_hashes`, and the entries of tile level >= 1 that became complete, in append order."""
        if any(len(leaf) != HASH_SIZE for leaf in leaf_hashes):
            raise ValueError("append takes leaf hashes of 32 bytes; hash the leaves with leaf_hash first")
        peaks, entries = list(self.peaks), []
        for place, leaf in enumerate(leaf_hashes, self.size):
            height, index, hash_ = 0, place, leaf
            while index & 1:  # a complete left sibling is waiting
                hash_ = sha256(b"\x01" + peaks.pop() + hash_).digest()
                height, index = height + 1, index >> 1
                if height % TILE_HEIGHT == 0:
                    entries.append(TileEntry(height // TILE_HEIGHT, index, hash_))
            peaks.append(hash_)
        return TreeHead(self.size + len(leaf_hashes), tuple(peaks)), entries


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root over leaf hashes in memory (RFC 6962 MTH)."""
    return TreeHead().append(leaf_hashes)[0].root


def fold(subtree_roots: Sequence[bytes]) -> bytes:
    """The root over complete subtrees that shrink from left to right; at least one."""
    *others, hash_ = subtree_roots
    for left in reversed(others):
        hash_ = node_hash(left, hash_)
    return hash_


def verify_inclusion(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """RFC 9162, 2.1.3.2. Raises ProofError."""
    check_index(index, size)
    hash_ = leaf_hash
    for sibling, is_left in _climb(index, size - 1, proof):
        hash_ = node_hash(sibling, hash_) if is_left else node_hash(hash_, sibling)
    if hash_ != root:
        raise ProofError(f"the proof does not lead from this leaf at index {index} to the root of {size} leaves")


def verify_consistency(old_size: int, new_size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """RFC 9162, 2.1.4.2. Raises ProofError, also when the new tree is the smaller one (a rollback).

    Every tree extends the empty one: from size 0 the proof is empty and says nothing of the new root.
    """
    check_growth(old_size, new_size)
    if old_size in (0, new_size):
        _verify_without_hashes(old_size, new_size, proof, old_root, new_root)
        return
    path = [old_root, *proof] if old_size.bit_count() == 1 else proof
    if not path:
        raise ProofError("the proof is too short")
    height = (old_size & -old_size).bit_length() - 1  # of the old tree's last complete subtree, where the path starts
    old = new = path[0]
    for sibling, is_left in _climb((old_size - 1) >> height, (new_size - 1) >> height, path[1:]):
        if is_left:
            old = node_hash(sibling, old)
        new = node_hash(sibling, new) if is_left else node_hash(new, sibling)
    if old != old_root:
        raise ProofError(f"the proof does not lead to the old root at size {old_size}")
    if new != new_root:
        raise ProofError(f"the proof does not lead to the new root at size {new_size}")


def check_index(index: int, size: int) -> None:
    if not 0 <= index < size:
        raise ProofError(f"index {index} is not in a tree of {size} leaves")


def check_growth(old_size: int, new_size: int) -> None:
    if not 0 <= old_size <= new_size:
        raise ProofError(f"a tree of {new_size} leaves cannot extend one of {old_size}: a rollback")


def _climb(index: int, last: int, proof: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each sibling on the way from node `index` (of 0..last on its level) to the root; True if it is the left one."""
    for sibling in proof:
        if len(sibling) != HASH_SIZE:
            raise ProofError(f"a hash of the proof has {len(sibling)} bytes, not {HASH_SIZE}")
        if last == 0:
            raise ProofError("the proof is too long")
        while index == last and not index & 1:  # an unpaired node is its own parent
            index, last = index >> 1, last >> 1
        yield sibling, bool(index & 1)
        index, last = index >> 1, last >> 1
    if last:
        raise ProofError("the proof is too short")


def _verify_without_hashes(m: int, n: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    if proof:
        raise ProofError(f"the proof from {m} to {n} leaves has to be empty")
    if m == 0 and old_root != EMPTY_ROOT:
        raise ProofError("the old root is not that of the empty tree")
    if m == n and old_root != new_root:
        raise ProofError(f"two different roots at the same size {n}")
