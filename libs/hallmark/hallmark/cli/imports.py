"""`hallmark import`."""

import time
from typing import Annotated, Any, Final

import typer

from hallmark.cli import base, output
from hallmark.cli.base import Json

ENDED: Final = ("done", "refused")
_PAUSE: Final = 0.5
"""Seconds between two questions how far it is."""


def add_to(app: typer.Typer) -> None:
    app.command("import")(import_version)


def import_version(
    url: Annotated[str, typer.Argument(metavar="URL", help="hf://organisation/name@revision; main without one.")],
    *,
    ref: Annotated[str | None, typer.Option("--as", metavar="REF", help="What it is registered as.")] = None,
    source: Annotated[
        str | None, typer.Option(help="The connected source to ask; the repository is followed from then on.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Until it is registered or refused.")] = True,
    json: Json = False,
) -> None:
    """Import one commit of a Hugging Face repository as a draft, every file verified."""
    with base.client() as hallmark:
        found = hallmark.import_version(url, ref=ref, source=source)
        if wait:
            found = _ended(hallmark, found)
    if found["state"] == "refused":
        base.fail(found["reason"], found["fix"])
    output.show(found, lambda: output.say(_told(found)))


def _ended(hallmark: Any, found: dict[str, Any]) -> dict[str, Any]:
    """Shown as it comes; whoever stops waiting stops nothing."""
    shown = 0
    with output.progress("importing", 0) as count:
        while found["state"] not in ENDED:
            time.sleep(_PAUSE)
            found = hallmark.import_of(found["id"])
            count(found["bytes_stored"] - shown)
            shown = found["bytes_stored"]
    return found


def _told(found: dict[str, Any]) -> str:
    if found["state"] == "done":
        return f"Registered {found['ref']} with {found['digest']}, commit {found['commit']}"
    return f"Import {found['id']} is {found['state']}; it goes on without you"
