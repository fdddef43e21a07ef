"""`make bench-simulate`: tables of bench.simulation for 1e8 to 1e10 events.

Bytes and the rate of sealing come from bench/out/growth.json where `make bench-growth` left one, else from
docs/performance.md.
"""

import json
from collections.abc import Iterable, Sequence
from random import Random
from statistics import mean

from rich.console import Console
from rich.table import Table

from bench.lives import stream_of
from bench.place import OUT, SEED
from bench.simulation import (
    MEASURED,
    Measured,
    append_rate,
    calibrated,
    hot_bytes,
    ledgers,
    names,
    place_of,
    proof_reads,
    skew,
)

SIZES = (10**8, 10**9, 10**10)
GB = 10**9


def main() -> None:
    console, grown, measured = Console(width=100), OUT / "growth.json", MEASURED
    if grown.exists():
        measured = calibrated(MEASURED, json.loads(grown.read_text())[-1])
    console.print(f"Bytes and sealing as in {grown.name if grown.exists() else 'docs/performance.md'}.")
    for table in (_storage(measured), _proofs(), _writers(measured), _ledgers(measured), _partitions()):
        console.print(table)


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(*columns, title=title, title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*row)
    return table


def _storage(measured: Measured) -> Table:
    each = {part.name: part.bytes_per_event for part in measured.parts}
    each |= {"together": sum(each.values()), "of it random, to be kept in memory": hot_bytes(measured.parts)}
    rows = [[name, f"{of:,.4g}", *(f"{of * size / GB:,.4g} GB" for size in SIZES)] for name, of in each.items()]
    rows.append(
        ["a projection rebuilt", "", *(f"{size / measured.rebuild_per_second / 3600:,.1f} h" for size in SIZES)]
    )
    return _table("Storage, memory, rebuild", ["", "bytes an event", *(f"{size:.0e} events" for size in SIZES)], rows)


def _proofs() -> Table:
    rows = list[list[str]]()
    for size in (10**7, *SIZES):
        tiles, entries = proof_reads(size, 1000, Random(SEED))
        rows.append([f"{size:.0e}", f"{mean(tiles):.2f}", str(max(tiles)), f"{mean(entries):,.0f}"])
    return _table("Inclusion proofs of 1,000 random events", ["events", "tiles", "at most", "hashes read"], rows)


def _writers(measured: Measured) -> Table:
    rows = [[f"{n:,}", f"{append_rate(measured.appends, n):,.0f}"] for n in (1, 8, 32, 128, 512, 4096)]
    return _table("Writers of one process", ["writers", "appended a second"], rows)


def _ledgers(measured: Measured) -> Table:
    ceiling, rates = measured.seal_per_second, (1_000, 10_000, 100_000, 1_000_000)
    rows = [[f"{rate:,}", str(ledgers(rate, ceiling)), f"{10**9 / rate / 3600:,.1f} h"] for rate in rates]
    return _table(f"One ledger seals {ceiling:,.0f} a second", ["events a second", "ledgers", "1e9 events in"], rows)


def _partitions() -> Table:
    numbered = [place_of(stream_of(number)) for number in range(10**6)]
    named = [place_of(name) for name in names(10**6, Random(SEED))]
    rows = [[str(n), f"{skew(numbered, n):.3f}", f"{skew(named, n):.3f}"] for n in (8, 16, 64, 256)]
    columns = ["partitions", "fullest / mean: numbered names", "random names"]
    return _table("A million streams over Kafka's partitions", columns, rows)


if __name__ == "__main__":
    main()
