"""`hallmark hammer`: whether the log keeps its promises on this machine, whatever is done to it."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hallmark.cli import base, output
from hallmark.cli.base import Json

if TYPE_CHECKING:
    from registry_core.hammer import Outcome, Status


def add_to(app: typer.Typer) -> None:
    app.command()(hammer)


def hammer(
    *,
    seconds: Annotated[float, typer.Option(min=1, help="How long to write; checking the rest takes longer.")] = 60.0,
    seed: Annotated[int | None, typer.Option(help="Of all that is chosen at random; by default the time.")] = None,
    writers: Annotated[int, typer.Option(min=1, max=512)] = 32,
    calm: Annotated[bool, typer.Option("--calm", help="No kills and no restarts.")] = False,
    sabotage: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="SQL to run on the new schema, to see that its fault is found."),
    ] = None,
    json: Json = False,
) -> None:
    """Write, kill and restart on a throw-away PostgreSQL, checking the log all the while. Exit code 1: it broke."""
    import asyncio  # noqa: PLC0415 - as below
    import logging  # noqa: PLC0415 - as below

    import structlog  # noqa: PLC0415 - only when needed
    from registry_core.hammer import Options  # noqa: PLC0415 - server modules
    from registry_core.hammer import hammer as run  # noqa: PLC0415 - as above

    # lost connections are what is wanted
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR)
    )  # lost connections are meant
    chosen = seed if seed is not None else int(time.time())
    sql = sabotage.read_text() if sabotage else ""
    outcome = asyncio.run(run(Options(seconds, chosen, writers, disturbed=not calm, sql=sql), _Line().tell))
    again = f"hallmark hammer --seconds {seconds:g} --seed {chosen} --writers {writers}"
    again += (" --calm" if calm else "") + (f" --sabotage {sabotage}" if sabotage else "")
    output.show(_document(outcome, chosen, again), lambda: _tell(outcome, chosen, again))
    raise typer.Exit(0 if outcome.ok else base.REFUSED)


class _Line:
    """One line on standard error: rewritten where a person watches, else a new one every ten seconds."""

    def __init__(self) -> None:
        self._last = (0.0, 0)
        self._told = -10.0

    def tell(self, status: "Status") -> None:
        from sys import stderr  # noqa: PLC0415 - looked up when it is written to

        if status.seconds - self._told < (1.0 if stderr.isatty() else 10.0) or base.wants_json():
            return
        seconds, events = self._last
        rate = (status.events - events) / max(status.seconds - seconds, 0.001)
        self._last, self._told = (status.seconds, status.events), status.seconds
        text = (
            f"{status.seconds:5.0f} s  {status.events:,} events ({rate:,.0f}/s)  {status.sealed:,} sealed and read  "
            f"{status.waiting:,} waiting  {status.proofs:,} proofs  {status.struck} strikes"
        )
        typer.echo(f"\r{text}\033[K" if stderr.isatty() else text, err=True, nl=not stderr.isatty())


def _document(outcome: "Outcome", seed: int, again: str) -> dict[str, object]:
    return {
        "ok": outcome.ok, "seed": seed, "seconds": outcome.seconds, "sealed": outcome.sealed, "proofs": outcome.proofs,
        "counts": outcome.counts, "findings": outcome.findings.counts, "first": outcome.findings.first,
        "data": outcome.folder, "again": again,
    }  # fmt: skip


def _tell(outcome: "Outcome", seed: int, again: str) -> None:
    typer.echo("", err=True)
    done = {"seed": seed, "seconds": f"{outcome.seconds:.0f}", "sealed and read": outcome.sealed,
            "proofs checked": outcome.proofs, **dict(outcome.counts.most_common())}  # fmt: skip
    output.table(["WHAT", "COUNT"], [[name, count] for name, count in done.items()])
    if outcome.ok:
        output.say("Nothing was lost, doubled, out of order or unproven.", "green")
        return
    rows = [[kind, count, outcome.findings.first[kind]] for kind, count in outcome.findings.counts.most_common()]
    output.table(["WRONG", "COUNT", "FIRST"], rows, title="The log broke its promises:")
    output.say(f"Again: {again}")
    output.say(f"Data kept in {outcome.folder}", "yellow")
