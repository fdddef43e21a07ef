"""RFC 6962 / 9162 vectors (those of transparency-dev/merkle) and the laws every Merkle log keeps."""

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_core.proofs.merkle import (
    EMPTY_ROOT,
    ProofError,
    TreeHead,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)
from registry_core.proofs.tiles import (
    Hashes,
    Plan,
    plan_consistency,
    plan_head,
    plan_inclusion,
    reads_of,
    rebuild_head,
)

DATA = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
LEAVES = [leaf_hash(bytes.fromhex(data)) for data in DATA]
ROOTS = [
    bytes.fromhex(text)
    for text in (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]
A = bytes.fromhex("96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7")
B = bytes.fromhex("5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e")
C = bytes.fromhex("6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4")
D = bytes.fromhex("bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b")
E = bytes.fromhex("ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0")
F = bytes.fromhex("0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a")
INCLUSION = [
    (0, 1, []),
    (0, 8, [A, B, C]),
    (5, 8, [D, E, ROOTS[4]]),
    (2, 3, [ROOTS[2]]),
    (1, 5, [ROOTS[1], B, D]),
]
CONSISTENCY = [(1, 1, []), (1, 8, [A, B, C]), (6, 8, [F, E, ROOTS[4]]), (2, 5, [B, D])]
GARBAGE = sha256(b"garbage").digest()
MANY = [leaf_hash(number.to_bytes(4, "big")) for number in range(70_000)]


def reference_root(leaves: Sequence[bytes]):
    """RFC 6962, 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(reference_root(leaves[:split]), reference_root(leaves[split:]))


def stored(leaves: Sequence[bytes]):
    """What a database holds: the leaf hashes and the completed tile entries."""
    _, entries = TreeHead().append(leaves)
    return {(0, i): leaf for i, leaf in enumerate(leaves)} | {(e.level, e.index): e.hash for e in entries}


def read(plan: Plan, hashes: Hashes):
    return {(level, i): hashes[level, i] for level, ranges in plan.reads.items() for entries in ranges for i in entries}


STORED = stored(MANY)


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_rfc_vectors(size: int):
    assert root(LEAVES[:size]) == ROOTS[size]


@pytest.mark.parametrize(("index", "size", "proof"), INCLUSION)
def test_inclusion_proofs_are_those_of_the_vectors(index: int, size: int, proof: list[bytes]):
    assert plan_inclusion(index, size).compute(stored(LEAVES)) == proof
    verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])


@pytest.mark.parametrize(("old", "new", "proof"), CONSISTENCY)
def test_consistency_proofs_are_those_of_the_vectors(old: int, new: int, proof: list[bytes]):
    assert plan_consistency(old, new).compute(stored(LEAVES)) == proof
    verify_consistency(old, new, proof, ROOTS[old], ROOTS[new])


def wrong_proofs(proof: list[bytes], *roots: bytes):
    """The corruptions of transparency-dev/merkle's testdata."""
    yield from ([*proof[:i], bytes([h[0] ^ 16]) + h[1:], *proof[i + 1 :]] for i, h in enumerate(proof))
    for extra in (b"", GARBAGE, *roots):
        yield from ([extra, *proof], [*proof, extra])
    if proof:
        yield from (proof[:-1], proof[1:], [], [*proof[:-1], proof[-1][:31]], [*proof, proof[-1]])


@pytest.mark.parametrize(("index", "size", "proof"), INCLUSION)
def test_a_corrupt_inclusion_proof_is_refused(index: int, size: int, proof: list[bytes]):
    leaf, good_root = LEAVES[index], ROOTS[size]
    cases = [(leaf, index, size, bad, good_root) for bad in wrong_proofs(proof, good_root)]
    cases += [(leaf, wrong, size, proof, good_root) for wrong in (index - 1, index + 1, index ^ 2)]
    cases += [(leaf, index, wrong, proof, good_root) for wrong in (size * 2, size // 2, 0, -1)]
    cases += [(GARBAGE, index, size, proof, good_root), (leaf, index, size, proof, GARBAGE), (leaf, 0, 0, [], b"")]
    for case in cases:
        with pytest.raises(ProofError):
            verify_inclusion(*case)


@pytest.mark.parametrize(("old", "new", "proof"), CONSISTENCY[1:])
def test_a_corrupt_consistency_proof_is_refused(old: int, new: int, proof: list[bytes]):
    roots = ROOTS[old], ROOTS[new]
    cases = [(old, new, bad, *roots) for bad in wrong_proofs(proof, *roots)]
    cases += [(wrong, new, proof, *roots) for wrong in (old - 1, old + 1, old ^ 2)]
    cases += [(old, wrong, proof, *roots) for wrong in (new * 2, new // 2)]
    cases += [
        (old, new, proof, GARBAGE, roots[1]),
        (old, new, proof, roots[0], GARBAGE),
        (old, new, proof, *roots[::-1]),
    ]
    for case in cases:
        with pytest.raises(ProofError):
            verify_consistency(*case)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ((2, 1, [], ROOTS[2], ROOTS[1]), "rollback"),
        ((1, 1, [], ROOTS[1], ROOTS[2]), "two different roots"),
        ((1, 1, [GARBAGE], ROOTS[1], ROOTS[1]), "has to be empty"),
        ((0, 1, [GARBAGE], ROOTS[0], ROOTS[1]), "has to be empty"),
        ((0, 0, [], GARBAGE, GARBAGE), "empty tree"),
        ((0, 1, [], GARBAGE, ROOTS[1]), "empty tree"),
        ((3, 5, [], ROOTS[3], ROOTS[5]), "too short"),
        ((-1, 5, [], ROOTS[3], ROOTS[5]), "cannot extend"),
    ],
)
def test_sizes_at_the_edge_are_refused_with_their_reason(case: tuple[int, int, list[bytes], bytes, bytes], reason: str):
    with pytest.raises(ProofError, match=reason):
        verify_consistency(*case)


def test_every_tree_extends_the_empty_one():
    assert plan_consistency(0, 5).compute({}) == []
    verify_consistency(0, 5, [], EMPTY_ROOT, ROOTS[5])
    assert TreeHead().root == EMPTY_ROOT


def test_every_proof_of_small_trees_holds():
    for size in range(34):
        whole = reference_root(MANY[:size])
        for index in range(size):
            verify_inclusion(MANY[index], index, size, plan_inclusion(index, size).compute(STORED), whole)
        for old in range(size + 1):
            proof = plan_consistency(old, size).compute(STORED)
            verify_consistency(old, size, proof, reference_root(MANY[:old]), whole)


@settings(deadline=None)
@given(st.lists(st.integers(0, 700), max_size=4))
def test_appending_in_batches_gives_the_reference_root_and_tiles(batches: list[int]):
    head, entries = TreeHead(), []
    for count in batches:
        head, more = head.append(MANY[head.size : head.size + count])
        entries += more
    assert head.root == reference_root(MANY[: head.size])
    complete = [(level, i) for level in (1, 2) for i in range(head.size // 16**level)]
    assert sorted((entry.level, entry.index) for entry in entries) == complete
    for entry in entries:
        leaves = 16**entry.level
        assert entry.hash == reference_root(MANY[entry.index * leaves : (entry.index + 1) * leaves])


@settings(deadline=None)
@given(st.integers(1, 70_000), st.data())
def test_proofs_hold_for_any_size_and_read_only_what_the_plan_names(size: int, data: st.DataObject):
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(0, size))
    whole = rebuild_head(size, read(plan_head(size), STORED)).root
    inclusion, consistency = plan_inclusion(index, size), plan_consistency(old, size)
    proof = inclusion.compute(read(inclusion, STORED))
    verify_inclusion(MANY[index], index, size, proof, whole)
    growth = consistency.compute(read(consistency, STORED))
    verify_consistency(old, size, growth, rebuild_head(old, STORED).root, whole)
    if proof:
        at, bit = data.draw(st.integers(0, len(proof) * 32 - 1)), data.draw(st.integers(0, 7))
        flat = bytearray(b"".join(proof))
        flat[at] ^= 1 << bit
        with pytest.raises(ProofError):
            verify_inclusion(
                MANY[index], index, size, [bytes(flat[i : i + 32]) for i in range(0, len(flat), 32)], whole
            )


@settings(deadline=None)
@given(st.integers(0, 70_000))
def test_a_tree_resumes_from_its_stored_hashes(size: int):
    resumed = rebuild_head(size, read(plan_head(size), STORED))
    grown, entries = resumed.append(MANY[size : size + 300])
    assert grown == rebuild_head(grown.size, STORED)
    assert all(STORED[entry.level, entry.index] == entry.hash for entry in entries)


def test_the_second_tile_level_appears_after_256_leaves():
    assert reference_root(MANY[:256]) == STORED[2, 0]
    assert plan_head(300).reads == {0: [range(288, 300)], 1: [range(16, 18)], 2: [range(1)]}


def test_several_proofs_share_one_set_of_disjoint_reads():
    plans = [plan_inclusion(index, 70_000) for index in (0, 1, 255, 256, 69_999)]
    reads = reads_of(subtree for plan in plans for subtree in plan.subtrees)
    for ranges in reads.values():
        assert all(left.stop < right.start for left, right in pairwise(ranges))
    hashes = {(level, i): STORED[level, i] for level, ranges in reads.items() for entries in ranges for i in entries}
    assert [plan.compute(hashes) for plan in plans] == [plan.compute(STORED) for plan in plans]


def test_a_plan_serves_an_asynchronous_store():
    async def fetch(level: int, entries: range) -> list[tuple[tuple[int, int], bytes]]:
        await asyncio.sleep(0)
        return [((level, i), STORED[level, i]) for i in entries]

    async def prove(plan: Plan) -> list[bytes]:
        rows = [await fetch(level, entries) for level, ranges in plan.reads.items() for entries in ranges]
        return plan.compute(dict(row for page in rows for row in page))

    proof = asyncio.run(prove(plan_inclusion(300, 1000)))
    verify_inclusion(MANY[300], 300, 1000, proof, root(MANY[:1000]))


def test_a_hash_that_was_not_read_is_named():
    with pytest.raises(ProofError, match=r"\(0, 1\) was not read"):
        plan_inclusion(0, 2).compute({})


def test_only_leaf_hashes_can_be_appended():
    with pytest.raises(ValueError, match="leaf_hash"):
        TreeHead().append([b"data"])
    with pytest.raises(ValueError, match="2 peaks"):
        TreeHead(3, (GARBAGE,))
