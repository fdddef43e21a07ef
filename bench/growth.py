"""`make bench-growth`: one log that grows, measured at each size, and plotted.

At each size: append rate beside that of an empty store, sealing rate, proof latency, sizes on disk, and the memory that
a whole export and a whole rebuild of a projection take, each in a process of its own. The last log is kept for the
workloads that read one of that size.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from random import Random
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import asyncpg
import uvloop
from hallmark_ledger.log import inclusion_proof, log_size
from registry_core.store.postgres import PostgresEventStore
from registry_core.store.tiles import StoredTree
from rich.console import Console

from bench import report
from bench.filling import fill, finish, keep, seal_all
from bench.lives import Row, rows
from bench.place import OUT, PEERS, Database, Place, ledger_pool_of, place, pool_of, run_program
from bench.timing import for_seconds
from bench.workload import Sample
from bench.workloads.append_concurrent import Writer

SIZES = (100_000, 1_000_000, 10_000_000)
_STEP = 500_000
_WRITERS, _SECONDS, _TURNS = 32, 2.0, 3
_LIVES_EACH = 100
_PROOFS = 2000
_TABLES = ("events", "sealed", "streams", "tiles")
console = Console()


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured at one size. Bytes of a table are those of its rows; its indexes are counted apart."""

    events: int
    append_per_second: float
    append_ratio_to_empty: float
    fill_per_second: float
    seal_per_second: float
    proof_p50_ms: float
    proof_p99_ms: float
    table_bytes: dict[str, int]
    index_bytes: dict[str, int]
    export_bytes: int
    export_seconds: float
    export_rss_mb: float
    rebuild_seconds: float
    rebuild_rss_mb: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-growth ARGS=…", description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES, help="numbers of events, ascending")
    sizes: Sequence[int] = parser.parse_args().sizes
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_grow(sizes))
        runner.run(_plot())
    return 0


async def _grow(sizes: Sequence[int]) -> list[Point]:
    OUT.mkdir(exist_ok=True)
    points = list[Point]()
    with tempfile.TemporaryDirectory(prefix="hallmark-growth-", dir=OUT) as folder:
        async with place(Path(folder)) as here, here.database() as database, here.database() as empty:
            _write("growth-machine.json", await report.machine(here, _TURNS))
            made, filled = rows(max(sizes), here.seed), 0
            for size in sizes:
                rates = await _fill(database, islice(made, size - filled))
                filled = size
                points.append(await _measure(here, database, empty, size, rates))
                console.print(points[-1])
                _write("growth.json", [asdict(point) for point in points])
            await keep(here, database, filled)
    return points


async def _fill(database: Database, made: Iterator[Row]) -> tuple[float, float]:
    """(filled, sealed) per second."""
    filling, sealing, done = 0.0, 0.0, 0
    async with ledger_pool_of(database) as pool:
        while True:
            before = perf_counter()
            written = await fill(database, islice(made, _STEP))
            between = perf_counter()
            if not written:
                await finish(database)
                return done / filling, done / sealing
            await seal_all(pool)
            filling, sealing, done = filling + between - before, sealing + perf_counter() - between, done + written


async def _measure(here: Place, database: Database, empty: Database, size: int, rates: tuple[float, float]) -> Point:
    grown, small = await _append_rates(here, database, empty, size)
    proofs = await _proofs(database, here.seed)
    tables, indexes = await _sizes(database)
    exported, built = await _export(here, database), await _alone("bench.rebuild_memory", asdict(database))
    cuts = quantiles(proofs, n=100, method="inclusive")
    return Point(
        events=size,
        append_per_second=median(grown),
        append_ratio_to_empty=median(a / b for a, b in zip(grown, small, strict=True)),
        fill_per_second=rates[0],
        seal_per_second=rates[1],
        proof_p50_ms=cuts[49],
        proof_p99_ms=cuts[98],
        table_bytes=tables,
        index_bytes=indexes,
        export_bytes=exported["bytes"],
        export_seconds=exported["seconds"],
        export_rss_mb=exported["rss_mb"],
        rebuild_seconds=built["seconds"],
        rebuild_rss_mb=built["rss_mb"],
    )


async def _append_rates(here: Place, database: Database, empty: Database, size: int) -> tuple[list[float], list[float]]:
    """Of the grown store and of the other, in turn."""
    rates: tuple[list[float], list[float]] = [], []
    for turn in range(_TURNS):
        first = 500_000_000 + size + turn * _WRITERS * _LIVES_EACH
        for of, side in zip(rates, (database, empty), strict=True):
            await here.checkpoint()
            of.append((await _append(side, first, here.seed + size + turn)).value)
    return rates


async def _append(database: Database, first: int, seed: int) -> Sample:
    async with pool_of(database) as pool:
        store, random = PostgresEventStore(pool), Random(seed)
        numbers = (range(first + w * _LIVES_EACH, first + (w + 1) * _LIVES_EACH) for w in range(_WRITERS))
        return await for_seconds(_SECONDS, *[Writer(store, each, random) for each in numbers])


async def _proofs(database: Database, seed: int) -> list[float]:
    """Milliseconds of each of 2,000 proofs of random events."""
    random, took = Random(seed), list[float]()
    async with pool_of(database) as pool:
        size, tree = await log_size(pool), StoredTree(pool)
        for _ in range(_PROOFS):
            before = perf_counter()
            await inclusion_proof(tree, random.randrange(size), size)
            took.append((perf_counter() - before) * 1000)
    return took


async def _sizes(database: Database) -> tuple[dict[str, int], dict[str, int]]:
    connection = await asyncpg.connect(database.owner_dsn)
    try:
        rows_ = await connection.fetch(
            """select relname, pg_table_size(c.oid) as rows, pg_indexes_size(c.oid) as indexes
                 from pg_class c join pg_namespace n on n.oid = relnamespace
                where nspname = 'log' and relname = any($1)""", _TABLES,
        )  # fmt: skip
    finally:
        await connection.close()
    return {row["relname"]: row["rows"] for row in rows_}, {row["relname"]: row["indexes"] for row in rows_}


async def _export(here: Place, database: Database) -> dict[str, Any]:
    path = here.folder / "log.hallmark"
    found = await _alone("bench.export_memory", {**asdict(database), "path": str(path)})
    path.unlink()
    return found


async def _alone(module: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """In a process of its own, whose highest memory is what counts."""
    printed = await run_program(sys.executable, "-m", module, json.dumps(arguments))
    found: dict[str, Any] = json.loads(printed.strip().rpartition("\n")[2])
    return found


async def _plot() -> None:
    await run_program(str(PEERS), "-m", "bench.peers.plot_growth", str(OUT / "growth.json"), str(OUT))


def _write(name: str, content: Any) -> None:
    (OUT / name).write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
