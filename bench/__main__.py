"""`make bench`: run every workload, or those whose names begin with the words given."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvloop
from rich.console import Console

from bench import report
from bench.place import place
from bench.runner import Result, run
from bench.workload import WORKLOADS, Workload
from bench.workloads import load_all

ROUNDS = 5
console = Console(width=None if sys.stdout.isatty() else 160)


def main() -> int:
    options = _options()
    load_all()
    chosen = [w for w in WORKLOADS.values() if not options.names or w.name.startswith(tuple(options.names))]
    if options.list or not chosen:
        for each in WORKLOADS.values():
            console.print(f"[bold]{each.name}[/]  {each.about}")
        return 0 if options.list else 2
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        results = runner.run(_run(chosen, options.rounds))
    report.print_table(results, console)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("names", nargs="*", help="workloads, or the beginning of their names")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"that count, besides one that warms up ({ROUNDS})")
    parser.add_argument("--list", action="store_true", help="tell every workload")
    return parser.parse_args()


async def _run(chosen: Sequence[Workload], rounds: int) -> list[Result]:
    results = list[Result]()
    with tempfile.TemporaryDirectory(prefix="hallmark-bench-") as folder, console.status("starting") as status:
        async with place(Path(folder)) as here:
            facts = await report.machine(here, rounds)
            for each in chosen:
                results.append(await run(each, here, rounds, status.update))
                report.write(results, facts)
    return results


if __name__ == "__main__":
    sys.exit(main())
