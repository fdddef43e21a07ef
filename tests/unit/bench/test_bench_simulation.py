"""What is said about a billion events follows from what was measured."""

from random import Random

import pytest
from registry_core.store.connections import Connection

from bench.simulation import (
    MEASURED,
    append_rate,
    calibrated,
    hot_bytes,
    ledgers,
    names,
    place_of,
    proof_reads,
    skew,
)

POINT = {
    "events": 1000, "seal_per_second": 9.0,
    "table_bytes": {"events": 600_000, "sealed": 100_000, "tiles": 2_000},
    "index_bytes": {"events": 338_000, "sealed": 133_000, "tiles": 0},
}  # fmt: skip


def test_a_measured_growth_replaces_the_constants() -> None:
    parts = {part.name: part for part in calibrated(MEASURED, POINT).parts}
    assert parts["log.events, rows"].bytes_per_event == 600
    assert parts["by event id"].bytes_per_event == pytest.approx(84)  # its indexes take twice as much
    assert sum(part.bytes_per_event for part in parts.values()) == pytest.approx(600 + 338 + 100 + 133 + 2)
    assert calibrated(MEASURED, POINT).seal_per_second == 9


def test_only_random_indexes_have_to_stay_in_memory() -> None:
    assert hot_bytes(MEASURED.parts) == 59 + 42 + 13


def test_the_append_rate_goes_through_both_measured_points() -> None:
    for writers, rate in MEASURED.appends:
        assert append_rate(MEASURED.appends, writers) == pytest.approx(rate)
    assert append_rate(MEASURED.appends, 1) < 6_597 / 16
    assert append_rate(MEASURED.appends, 10**9) < 18_230 * 1.2


@pytest.mark.parametrize(("per_second", "needed"), [(1, 1), (25_000, 1), (25_001, 2), (100_000, 4)])
def test_a_ledger_is_added_for_what_one_cannot_seal(per_second: int, needed: int) -> None:
    assert ledgers(per_second, 25_000) == needed


def test_a_tree_of_one_full_tile_is_proved_from_that_tile() -> None:
    tiles, entries = proof_reads(16, 50, Random(1))
    assert set(tiles) == {1}
    assert set(entries) == {15}  # all leaves but the proven one


def test_a_proof_in_a_log_a_hundred_times_as_long_reads_three_tiles_more() -> None:
    few, many = (max(proof_reads(size, 200, Random(1))[0]) for size in (10**7, 10**9))
    assert many == few + 3


async def test_streams_are_partitioned_as_the_log_does_it(owner: Connection) -> None:
    streams = [*names(100, Random(2)), "asset:prompt:ä"]
    asked = "select log.partition_of(s, 64) as p from unnest($1::text[]) with ordinality u(s, n) order by n"
    rows = await owner.fetch(asked, streams)
    assert [row["p"] for row in rows] == [place_of(stream) % 64 for stream in streams]


def test_streams_spread_over_partitions() -> None:
    assert skew([place_of("model:a@1.0.0")] * 10, 4) == 4
    assert 1 < skew([place_of(name) for name in names(20_000, Random(1))], 16) < 1.2
