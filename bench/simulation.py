"""What the design comes to at sizes that nobody has filled here: arithmetic over what was measured, the product's own
proof planner run on trees of that size, and its partitioner over many stream names. `bench.simulate` prints it.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from random import Random
from typing import Any

from registry_core.proofs.tiles import plan_inclusion
from registry_core.store.tiles import WIDTH


@dataclass(frozen=True, slots=True)
class Part:
    """Something that grows with the log. `random`: where the next entry goes cannot be told, so all of it is hot."""

    name: str
    table: str
    bytes_per_event: float
    is_index: bool = True
    random: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    parts: tuple[Part, ...]
    seal_per_second: float
    appends: tuple[tuple[int, float], tuple[int, float]]
    """Two points: writers of one process, and what they append in a second."""
    rebuild_per_second: float


MEASURED = Measured(
    (
        Part("log.events, rows", "events", 517, is_index=False),
        Part("by stream and version", "events", 59, random=True),
        Part("by event id", "events", 42, random=True),
        Part("by xid and position", "events", 32),
        Part("by position", "events", 23),
        Part("by correlation id", "events", 13, random=True),
        Part("log.sealed, rows", "sealed", 102, is_index=False),
        Part("by topic and partition", "sealed", 32),
        Part("by log index, by position", "sealed", 45),
        Part("log.tiles, rows", "tiles", 2.46, is_index=False),
    ),
    seal_per_second=29_099, appends=((32, 6_597), (512, 18_230)), rebuild_per_second=27_724,
)  # fmt: skip
"""docs/performance.md: the table of bytes (10 million events), and `seal`, `append_concurrent`, `peer_replay` there."""


def calibrated(measured: Measured, point: Mapping[str, Any]) -> Measured:
    """With a point of growth.json: a table's rows as there, its indexes in proportion to their sum there."""

    def scale(part: Part) -> Part:
        kind = "index_bytes" if part.is_index else "table_bytes"
        of_kind = [p for p in measured.parts if (p.table, p.is_index) == (part.table, part.is_index)]
        there = point[kind][part.table] / point["events"]
        return replace(part, bytes_per_event=part.bytes_per_event * there / sum(p.bytes_per_event for p in of_kind))

    return replace(measured, parts=tuple(map(scale, measured.parts)), seal_per_second=point["seal_per_second"])


def hot_bytes(parts: Iterable[Part]) -> float:
    """An event's share of what has to stay in memory for appends to keep their rate."""
    return sum(part.bytes_per_event for part in parts if part.random)


def append_rate(appends: tuple[tuple[int, float], tuple[int, float]], writers: int) -> float:
    """Events a second of one process: `per event + per batch / writers`, through the two measured points."""
    (few, slow), (many, fast) = appends
    per_batch = (1 / slow - 1 / fast) / (1 / few - 1 / many)
    return 1 / (1 / fast + per_batch * (1 / writers - 1 / many))


def ledgers(per_second: float, seal_per_second: float) -> int:
    """How many logs it takes, since one process seals each."""
    return math.ceil(per_second / seal_per_second)


def proof_reads(size: int, proofs: int, random: Random) -> tuple[list[int], list[int]]:
    """(tiles, entries) that each of so many inclusion proofs of random leaves reads, as the ledger plans them."""
    plans = [plan_inclusion(random.randrange(size), size).reads for _ in range(proofs)]
    tiles = [sum(len({n // WIDTH for r in ranges for n in r}) for ranges in reads.values()) for reads in plans]
    return tiles, [sum(len(r) for ranges in reads.values() for r in ranges) for reads in plans]


def place_of(stream: str) -> int:
    """Modulo the number of partitions it is a stream's partition, as `log.partition_of` says; a test compares."""
    return int.from_bytes(sha256(stream.encode()).digest()[:4])


def skew(places: Sequence[int], partitions: int) -> float:
    """The fullest partition over the mean one."""
    counts = Counter(place % partitions for place in places)
    return max(counts.values()) * partitions / len(places)


def names(count: int, random: Random) -> list[str]:
    """Streams of versions under names that share nothing, twenty versions of each model."""
    return [f"model:{random.getrandbits(40):x}@1.{n}.0" for _ in range(count // 20) for n in range(20)]
