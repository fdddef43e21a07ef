"""`hallmark scan`: offline, without a server."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hallmark.cli import output
from hallmark.cli.base import Json

if TYPE_CHECKING:
    from hallmark_scanner.artifacts import ScanReport


def add_to(app: typer.Typer) -> None:
    app.command()(scan)


def scan(
    path: Annotated[Path, typer.Argument(exists=True, help="A model file, or a folder of them.")],
    json: Json = False,
) -> None:
    """Look for what would run code or mislead, without executing anything.

    Exit code 0: clean; 1: a person has to look; 2: malicious. Each file is read in a process of its own.
    """
    import asyncio  # noqa: PLC0415 - a fifth of a second, for this command alone

    from hallmark_scanner.artifacts import exit_code  # noqa: PLC0415 - the scanner may not be installed

    reports = asyncio.run(_scan_all(_files(path)))
    output.show([_document(file, report) for file, report in reports], lambda: _table(reports))
    raise typer.Exit(max((exit_code(report) for _, report in reports), default=1))


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


async def _scan_all(files: list[Path]) -> "list[tuple[Path, ScanReport]]":
    from hallmark_scanner.sandbox import scan_in_sandbox  # noqa: PLC0415 - the scanner may not be installed

    return [(file, await scan_in_sandbox(file, file.name)) for file in files]


def _document(file: Path, report: "ScanReport") -> dict[str, Any]:
    import json  # noqa: PLC0415 - shadowed by the option elsewhere

    from hallmark_scanner.artifacts import report_as_json  # noqa: PLC0415 - the scanner may not be installed

    return {"path": str(file), **json.loads(report_as_json(report))}


def _table(reports: "list[tuple[Path, ScanReport]]") -> None:
    output.table(["VERDICT", "FORMAT", "FILE"], [[r.verdict, r.format, file] for file, r in reports])
    for file, report in reports:
        for finding in report.findings:
            output.say(f"\n{file}: {finding.rule} ({finding.severity}) at {finding.location}", "yellow")
            output.say(f"  {finding.message}\n  fix: {finding.fix}")
    if not reports:
        output.say("There are no files, so nothing was found to be clean.", "yellow")
