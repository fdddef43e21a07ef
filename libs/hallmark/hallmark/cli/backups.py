"""`hallmark backup`, `hallmark restore`: the whole installation into a folder, and back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hallmark.cli import base, output
from hallmark.cli.base import Json
from hallmark.cli.local import Data

if TYPE_CHECKING:
    from registry_core.backup import Manifest


def add_to(app: typer.Typer) -> None:
    app.command()(backup)
    app.command()(restore)


def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder; it appears when it is complete.")],
    keys: Annotated[Path | None, typer.Option(help="Save the private keys, too, into this new folder.")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Back up log, work, views and artifacts while everything runs. Keys only where --keys says, apart from the rest.

    The database is the one that HALLMARK_POSTGRES_OWNER_DSN names, else that of `hallmark up`.
    """
    from hallmark.cli.saving import run_backup  # noqa: PLC0415 - server modules

    with output.progress("backing up", 0) as count:
        made = run_backup(folder, keys, data, count)
    output.show(made.model_dump(mode="json"), lambda: _tell_backup(folder, keys, made))
    raise typer.Exit(base.REFUSED if made.damaged else 0)


def _tell_backup(folder: Path, keys: Path | None, made: "Manifest") -> None:
    where = "left in their own store" if made.artifacts is None else str(made.artifacts)
    output.facts({"backup": folder, "events": made.log.events, "sealed": made.log.size, "artifacts": where})
    for digest in made.damaged:
        output.say(f"NOT in the backup: {digest}, whose bytes in the artifact store are not its own any more", "red")
    if made.keys and keys is None:
        output.say("Private keys are not in it; save them apart with --keys DIR.", "yellow")
    output.say(f"Next: keep it elsewhere, with a checkpoint apart from it. Back again: hallmark restore {folder}")


def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="The backup.")],
    keys: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="The folder that --keys saved them to.")
    ] = None,
    erased: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Pseudonyms of persons erased since, one on each line."),
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Put a backup back onto an empty database, verify it, and say what is still to do. Nothing may run on it yet."""
    from hallmark.cli.saving import run_restore  # noqa: PLC0415 - server modules

    with output.progress("restoring", 0) as count:
        found = run_restore(folder, keys, erased, data, count)
    output.show(found.model_dump(mode="json"), lambda: _tell_restore(folder, keys, found))


def _tell_restore(folder: Path, keys: Path | None, found: "Manifest") -> None:
    output.facts({"made at": found.made_at, "events": found.log.events, "sealed": found.log.size})
    output.say("Restored: every sealed event was hashed again, and the root is that of the backup.", "green")
    if found.keys and keys is None:
        names = ", ".join(f"{key.name} ({key.id[:16]}…)" for key in found.keys)
        output.say(f"Put the private keys back before anything starts, else new ones are made: {names}", "yellow")
    if found.artifacts is None:
        output.say("The artifacts are not in the backup: see that their store is reachable.", "yellow")
    output.say(
        "Next: hallmark up (or migrate); then hallmark audit export log.hallmark, and hallmark audit verify "
        f"log.hallmark --held with a checkpoint kept elsewhere ({folder / 'checkpoint.note'} is as old as the backup)"
    )
