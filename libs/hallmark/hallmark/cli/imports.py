"""`hallmark import`."""

from typing import Annotated, Any

import typer

from hallmark.cli import base, output
from hallmark.cli.base import Json


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
            with output.progress("importing", 0) as count:
                found = hallmark.wait_import(found["id"], progress=count)
    if found["state"] == "refused":
        base.fail(found["reason"], found["fix"])
    output.show(found, lambda: output.say(_told(found)))


def _told(found: dict[str, Any]) -> str:
    if found["state"] == "done":
        return f"Registered {found['ref']} with {found['digest']}, commit {found['commit']}"
    return f"Import {found['id']} is {found['state']}; it goes on without you"
