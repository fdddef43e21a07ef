"""Why the log is ordered and appended to as it is: the rejected schemes, tried again (docs/decisions/0003).

    make bench-rejected ARGS="--seconds 8 --seed 7"

Orders are hammered without kills, and what broke is counted. Append functions are run side by side with ours (A B A B),
and the median ratio of their rates is told. Both on a throw-away PostgreSQL with `synchronous_commit=on`.
"""

import argparse
import asyncio
import logging
from pathlib import Path

import structlog
from rich.console import Console
from rich.table import Table

from bench.rejected.orders import try_orders
from bench.rejected.rates import try_rates

HERE = Path(__file__).parent


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="of writing, for each order")
    parser.add_argument("--rounds", type=int, default=3, help="of each pair of append functions")
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    console = Console()
    orders = asyncio.run(try_orders(HERE, chosen.seconds, chosen.seed))
    _print(console, f"Orders, {chosen.seconds:g} s each, seed {chosen.seed}", orders)
    rates = asyncio.run(try_rates(chosen.rounds))
    _print(console, f"Append functions, median of {chosen.rounds} rounds", rates)


def _print(console: Console, title: str, rows: list[dict[str, str]]) -> None:
    table = Table(*rows[0], title=title, title_justify="left", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row.values())
    console.print(table)


if __name__ == "__main__":
    main()
