"""`hallmark deprecate|retire|suspend|reinstate`, `advisory publish`, `sweep`, `served`."""

import json as json_format
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from hallmark.cli import base, output
from hallmark.cli.base import Json, Ref, moment

Cause = Annotated[str, typer.Option(help="Why; it is kept for ever.")]


def add_to(app: typer.Typer) -> None:
    for command in (deprecate, retire, suspend, reinstate, sweep, served):
        app.command()(command)
    advisory = base.group("Vulnerability advisories.")
    advisory.command("publish")(publish)
    app.add_typer(advisory, name="advisory")


def deprecate(
    ref: Ref,
    cause: Cause,
    replacement: Annotated[str | None, typer.Option(help="The version to use instead.")] = None,
    json: Json = False,
) -> None:
    """Refuse new use of a version; what serves goes on."""
    with base.client() as hallmark:
        written = hallmark.deprecate(ref, cause, replacement)
    output.show(written, lambda: output.say(f"Deprecated {ref}"))


def retire(ref: Ref, cause: Cause, json: Json = False) -> None:
    """End a version's serving for good."""
    with base.client() as hallmark:
        written = hallmark.retire(ref, cause)
    output.show(written, lambda: output.say(f"Retired {ref}"))


def suspend(ref: Ref, cause: Cause, json: Json = False) -> None:
    """Stop a version at once: it is refused at admission from now on."""
    with base.client() as hallmark:
        written = hallmark.suspend(ref, cause)
    output.show(written, lambda: output.say(f"Suspended {ref}"))


def reinstate(ref: Ref, cause: Cause, json: Json = False) -> None:
    """End a suspension, if an approval is still in force."""
    with base.client() as hallmark:
        written = hallmark.reinstate(ref, cause)
    output.show(written, lambda: output.say(f"Reinstated {ref}"))


def sweep(
    as_of: Annotated[
        datetime | None,
        typer.Option(
            parser=moment, metavar="TIME", help="Only where the server's clock may be moved (demonstrations)."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Do now what is due: expire approvals and exceptions, warn owners, escalate."""
    with base.client() as hallmark:
        found = hallmark.sweep(as_of)
    output.show(found, lambda: _swept(found))


def _swept(found: dict[str, Any]) -> None:
    events = found.get("events") or []
    output.say(f"{len(events)} events as of {found['as_of']}")
    if events:
        output.table(["VERSION", "EVENT"], [[event["ref"], event["type"]] for event in events])


def served(
    customer: Annotated[str, typer.Option(help="The customer's own id; the server keeps a pseudonym only.")],
    at: Annotated[datetime, typer.Option(parser=moment, metavar="TIME", help="When, e.g. 2026-11-21T10:00Z.")],
    json: Json = False,
) -> None:
    """Which version served a customer at a time, and whether it was approved then."""
    with base.client() as hallmark:
        found = hallmark.served(customer, at)
    output.show(found, lambda: _served(found))


def _served(found: dict[str, Any]) -> None:
    output.facts({name: value for name, value in found.items() if not isinstance(value, list)})
    for name, rows in found.items():
        if isinstance(rows, list) and rows and isinstance(rows[0], dict):
            output.table([key.upper() for key in rows[0]], [list(row.values()) for row in rows], title=name)


def publish(
    path: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="OSV, JSON.")], json: Json = False
) -> None:
    """Publish an advisory in OSV format; every version is held against it."""
    try:
        advisory = json_format.loads(path.read_text())
    except ValueError as error:
        base.fail(f"{path} is not JSON: {error}", "send an OSV document", base.USAGE)
    with base.client() as hallmark:
        written = hallmark.publish_advisory(advisory)
    output.show(written, lambda: output.say(f"Published {written['advisory']}"))
