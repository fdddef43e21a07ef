"""The tree that the server grows is the one that everybody verifies."""

from hashlib import sha256
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registry_core.proofs.merkle import TreeHead

GROW = "select log.grow_tree($1, $2, $3)"


def leaves(first: int, count: int) -> list[bytes]:
    return [sha256(b"%d" % n).digest() for n in range(first, first + count)]


def peaks_of(head: TreeHead) -> list[bytes | None]:
    """By height; None where the size has no subtree of that height."""
    waiting = list(reversed(head.peaks))
    return [waiting.pop(0) if head.size >> height & 1 else None for height in range(head.size.bit_length())]


def without_end(peaks: list[bytes | None]) -> list[bytes | None]:
    while peaks and peaks[-1] is None:
        peaks.pop()
    return peaks


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 70_000), st.lists(st.integers(0, 600), min_size=1, max_size=5))
async def test_it_is_pythons(owner: asyncpg.Connection, size: int, batches: list[int]) -> None:
    """From any size on, in any batches: the same peaks, and the same entries of tiles."""
    await owner.execute("truncate log.tiles")
    head, expected = await _begun(owner, size)
    peaks: Any = peaks_of(head)
    for count in batches:
        added = leaves(head.size, count)
        peaks = await owner.fetchval(GROW, head.size, b"".join(added), peaks)
        head, entries = head.append(added)
        expected += [(entry.level, entry.index, entry.hash) for entry in entries]
        assert without_end(list(peaks)) == peaks_of(head)
    assert await _entries(owner) == sorted(expected)


async def _begun(owner: asyncpg.Connection, size: int) -> tuple[TreeHead, list[tuple[int, int, bytes]]]:
    """A tree of that size, and of its tiles those that are not full yet, stored."""
    head, entries = TreeHead().append(leaves(0, size))
    partial = [e for e in entries if e.index >> 4 == (size >> 4 * e.level) >> 4]
    await owner.executemany(
        """insert into log.tiles as t values ($1, $2, $3)
           on conflict (level, index) do update set hashes = t.hashes || excluded.hashes""",
        [(e.level, e.index >> 4, e.hash) for e in partial],
    )
    return head, [(e.level, e.index, e.hash) for e in partial]


async def _entries(owner: asyncpg.Connection) -> list[tuple[int, int, bytes]]:
    rows = await owner.fetch("select level, index, hashes from log.tiles")
    return sorted(
        (row["level"], row["index"] * 16 + n, row["hashes"][32 * n : 32 * n + 32])
        for row in rows
        for n in range(len(row["hashes"]) // 32)
    )


async def test_a_tree_that_lacks_a_subtree_is_not_grown(owner: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.DataCorruptedError, match="the tree of 5 leaves lacks its subtree of height 0"):
        await owner.fetchval(GROW, 5, b"".join(leaves(5, 1)), [])
