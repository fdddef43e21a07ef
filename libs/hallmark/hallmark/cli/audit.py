"""`hallmark audit show|export|pack|verify|key|rotate-key|checkpoint`."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hallmark.cli import base, output
from hallmark.cli.base import Json, Ref

if TYPE_CHECKING:
    from registry_core.proofs.cosignature import WitnessKey
    from registry_core.proofs.pack import Report

_SERVED = ("deployment", "environment", "state", "approved", "windows", "requests", "first", "last", "customers")
_SAID = (
    "role", "outcome", "comment", "verdict", "passed", "suite", "rule", "finding", "advisory", "severity", "status",
    "reason", "granted_by", "expires_at", "policy",
)  # fmt: skip
_GIST = 160
_LARGE = 50_000_000  # bytes: below, other processes take longer to start than they save


def add_to(app: typer.Typer) -> None:
    audit = base.group("What happened, and proof of it.")
    for command in (show, export, pack, verify, key, rotate_key, checkpoint):
        audit.command()(command)
    app.add_typer(audit, name="audit")


def show(ref: Ref, json: Json = False) -> None:
    """Who approved a version and when, which checks ran, which exceptions held."""
    with base.client() as hallmark:
        found = hallmark.audit(ref)
    output.show(found, lambda: _answers(found))


def _answers(found: dict[str, Any]) -> None:
    """A table for each question, a line for each event: the rest is in --json and in the pack."""
    output.facts({"ref": found["ref"], "events": found["events"]})
    for question in ("reviews", "decisions", "checks", "exceptions"):
        rows = [
            (row["log_index"], row["at"][:19], row["event"].split(".")[-2], row["actor"], _gist(row))
            for row in found[question]
        ]
        if rows:
            output.table(["LOG INDEX", "AT", "WHAT", "BY", "SAID"], rows, title=question)
    if found["served"]:
        served = [[row[name] for name in _SERVED] for row in found["served"]]
        output.table([name.upper() for name in _SERVED], served, title="served")


def _gist(row: dict[str, Any]) -> str:
    """What of an event a person looks for first."""
    reasons = [*row.get("reasons", ()), *([row["reason"]] if isinstance(row.get("reason"), dict) else ())]
    if reasons:
        return "; ".join(f"{reason['rule']}: {reason['detail']}"[:_GIST] for reason in reasons)
    said = [f"{name} {row[name]}" for name in _SAID if row.get(name) not in (None, "", [], {})]
    return ", ".join(said)[:_GIST]


def _sections(found: dict[str, Any]) -> None:
    output.facts({name: value for name, value in found.items() if not isinstance(value, list | dict)})
    for name, value in found.items():
        rows = value if isinstance(value, list) else [value] if isinstance(value, dict) else []
        if rows and all(isinstance(row, dict) for row in rows):
            columns = list(dict.fromkeys(column for row in rows for column in row))
            cells = [[row.get(column) for column in columns] for row in rows]
            output.table([column.upper() for column in columns], cells, title=name)


def export(
    path: Annotated[Path, typer.Argument(dir_okay=False, help="The file to write.")], json: Json = False
) -> None:
    """Write the whole log to one file that anyone can verify."""
    with base.client() as hallmark, output.progress("exporting", 0) as count:
        hallmark.export_log(path, count)
    _written(path)


def pack(
    ref: Ref,
    path: Annotated[Path | None, typer.Option("--output", "-o", help="By default <name>-<version>.pack.")] = None,
    json: Json = False,
) -> None:
    """Write one version's evidence to one file that an outsider can verify."""
    where = path or Path(f"{ref.partition(':')[2].replace('@', '-').replace('/', '-') or ref}.pack")
    with base.client() as hallmark, output.progress("packing", 0) as count:
        hallmark.evidence_pack(ref, where, count)
    _written(where)


def _written(path: Path) -> None:
    document = {"path": str(path), "bytes": path.stat().st_size}
    output.show(document, lambda: output.say(f"Wrote {path}. Next: hallmark audit verify {path}"))


def verify(
    path: Annotated[Path | None, typer.Argument(exists=True, dir_okay=False, help="An export or a pack.")] = None,
    *,
    live: Annotated[bool, typer.Option("--live", help="Read the whole log from the server instead.")] = False,
    keys: Annotated[
        list[str] | None, typer.Option("--key", metavar="VKEY", help="The log's key as you know it; repeat it.")
    ] = None,
    held: Annotated[
        Path | None,
        typer.Option("--held", "--checkpoint", exists=True, dir_okay=False, help="A checkpoint kept from earlier."),
    ] = None,
    witness: Annotated[
        str | None, typer.Option(metavar="URL|DIR", help="Take the newest checkpoint of this witness as held.")
    ] = None,
    witness_keys: Annotated[
        list[str] | None,
        typer.Option("--witness-key", metavar="VKEY", help="A witness that has to have cosigned; repeat it."),
    ] = None,
    keep: Annotated[Path | None, typer.Option(dir_okay=False, help="Write the checkpoint that held to a file.")] = None,
    json: Json = False,
) -> None:
    """Verify a file offline, the server's log with --live, or that its log extends a held checkpoint.

    Exit code 0: everything held; 1: something is altered, dropped, reordered, inserted or cut off.
    """
    from hallmark.cli import live_audit  # noqa: PLC0415 - only when needed

    note = held.read_text(errors="replace") if held else live_audit.newest_of(witness) if witness else None
    vouching = live_audit.witness_keys(witness_keys or ())
    if path is None:
        live_audit.verify(keys or (), note, keep, vouching, whole=live)
    elif live:
        base.fail("a file and --live were given", "leave one of them out", base.USAGE)
    else:
        _verify_file(path, keys or (), note, keep, vouching)


def _verify_file(
    path: Path, keys: Sequence[str], note: str | None, keep: Path | None, vouching: Sequence["WitnessKey"]
) -> None:
    from registry_core.proofs.pack import verify_pack  # noqa: PLC0415 - only when needed

    size = path.stat().st_size
    processes = (os.cpu_count() or 1) if size >= _LARGE else 1
    with path.open("rb") as stream, output.progress("verifying", size) as count:
        report = verify_pack(stream, keys, note, count, processes, witnesses=vouching)
    if keep and report.ok and report.checkpoint:
        keep.write_text(report.checkpoint)
    output.show({"ok": report.ok, **asdict(report)}, lambda: _report(report))
    raise typer.Exit(0 if report.ok else base.REFUSED)


def _report(report: "Report") -> None:
    from hallmark.cli import live_audit  # noqa: PLC0415 - only when needed

    for problem in report.problems:
        output.say(f"line {problem.line}: {problem.what}: {problem.message}", "red")
    output.facts(
        {
            "subject": report.subject, "origin": report.origin, "kind": report.kind, "events": report.events,
            "blobs": report.blobs, "decisions": report.decisions, "signed by": report.signed_by,
            **live_audit.cosigned(report.cosigned),
        }
    )  # fmt: skip
    for remark in report.remarks:
        output.say(f"Note: {remark}", "yellow")
    count = len(report.problems)
    if not report.ok:
        output.say(f"NOT verified: {count} problem{'s' if count > 1 else ''}.", "red")
    elif report.first_use:
        output.say("Consistent, by the key that the file states itself; --key proves whose log it is.", "yellow")
    else:
        output.say("Verified.", "green")


def key(json: Json = False) -> None:
    """The log's keys as the server states them: compare them with copies of your own."""
    with base.client() as hallmark:
        found = hallmark.log_key()
    output.show(found, lambda: _sections({name: value for name, value in found.items() if name != "handovers"}))


def rotate_key(reason: Annotated[str, typer.Option(help="Why, for the log.")] = "", json: Json = False) -> None:
    """Sign checkpoints with a new key; the old one vouches for it, and what it signed stays verifiable."""
    with base.client() as hallmark:
        found = hallmark.rotate_log_key(reason)
    output.show(found, lambda: output.facts(found))


def checkpoint(json: Json = False) -> None:
    """The newest signed checkpoint: keep it out of the server's reach, for `audit verify --held`."""
    with base.client() as hallmark:
        note = hallmark.checkpoint()
    output.show({"checkpoint": note}, lambda: typer.echo(note, nl=False))
