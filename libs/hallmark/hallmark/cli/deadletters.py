"""`hallmark dead-letters list|show|replay`."""

from typing import Annotated

import typer

from hallmark.cli import base, completion, output
from hallmark.cli.base import Json

Letter = Annotated[int, typer.Argument(metavar="ID", help="The dead letter's number.")]


def add_to(app: typer.Typer) -> None:
    letters = base.group("What could not be handled, and why.")
    letters.command("list")(list_letters)
    letters.command("show")(show)
    letters.command("replay")(replay)
    app.add_typer(letters, name="dead-letters")


def list_letters(
    state: Annotated[
        str | None,
        typer.Option(
            autocompletion=completion.one_of("open", "replaying", "replayed"),
            help="open, replaying or replayed; by default all.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    json: Json = False,
) -> None:
    """The newest first."""
    with base.client() as hallmark:
        found = hallmark.dead_letters(state, limit)
    columns = ("id", "state", "topic", "record", "consumer", "reason")
    output.show(
        found,
        lambda: output.table([c.upper() for c in columns], [[letter[c] for c in columns] for letter in found]),
    )


def show(letter: Letter, json: Json = False) -> None:
    """One of them, whole."""
    with base.client() as hallmark:
        found = hallmark.dead_letter(letter)
    output.show(found, lambda: output.facts({name: value for name, value in found.items() if name != "value"}))


def replay(letter: Letter, json: Json = False) -> None:
    """Have it handled again, once its cause is mended."""
    with base.client() as hallmark:
        written = hallmark.replay_dead_letter(letter)
    output.show(written, lambda: output.say(f"Dead letter {letter} is replayed within a second or two"))
