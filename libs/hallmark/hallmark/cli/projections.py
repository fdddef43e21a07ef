"""`hallmark projections list|rebuild|switch|drop`."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hallmark.cli import base, output
from hallmark.cli.base import Json

if TYPE_CHECKING:
    from hallmark.wire import Document

_POLL: Final = 0.3
_PATIENCE: Final = 20.0
"""Seconds without progress after which a command says what may be missing."""
_COLUMNS: Final = ("name", "table", "version", "state", "lag", "log_index", "bytes", "problem")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The projection, which is the name of its view.")]
Table = Annotated[str | None, typer.Option("--table", help="Another table than the obvious one; `list` names them.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Stay until it is done, with a bar where one is seen.")]


def add_to(app: typer.Typer) -> None:
    projections = base.group("The tables behind the views: how far they are, building them anew, switching to them.")
    projections.command("list")(list_projections)
    projections.command("rebuild")(rebuild)
    projections.command("switch")(switch)
    projections.command("drop")(drop)
    app.add_typer(projections, name="projections")


def list_projections(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One projection; by default all.")] = None,
    json: Json = False,
) -> None:
    """Every table with its version, state and lag; the views show the live ones."""
    with base.client() as hallmark:
        found = hallmark.projections(name)
    output.show(
        found, lambda: output.table([c.upper() for c in _COLUMNS], [[row[c] for c in _COLUMNS] for row in found])
    )


def rebuild(
    name: Name,
    switch: Annotated[bool, typer.Option("--switch", help="Show the new table once it has caught up.")] = False,
    wait: Wait = True,
    json: Json = False,
) -> None:
    """Build a projection anew from the log, beside the table that its view goes on showing."""
    with base.client() as hallmark:
        table = hallmark.rebuild_projection(name, switch=switch)
        if wait:
            wanted = ("live",) if switch else ("ready", "live")
            table = _followed(lambda: _table(hallmark.projections(name), table["table"]), wanted)
    output.show(table, lambda: _tell(table))


def switch(name: Name, table: Table = None, wait: Wait = True, json: Json = False) -> None:
    """Show the table that was rebuilt; if there is none, the one shown before. It catches up first."""
    with base.client() as hallmark:
        asked = hallmark.switch_projection(name, table)
        if wait:
            asked = _followed(lambda: _table(hallmark.projections(name), asked["table"]), ("live",))
    output.show(asked, lambda: _tell(asked))


def drop(
    name: Name, table: Annotated[str, typer.Argument(metavar="TABLE", help="As `list` names it.")], json: Json = False
) -> None:
    """Remove a table that the view does not show. A build of it is given up."""
    with base.client() as hallmark:
        dropped = hallmark.drop_projection_table(name, table)
    output.show(dropped, lambda: output.say(f"{table} is gone"))


def _table(tables: list["Document"], table: str) -> "Document":
    found = next((row for row in tables if row["table"] == table), None)
    return found or base.fail(f"{table} was dropped meanwhile", "`hallmark projections list` names those there are")


def _followed(look: Callable[[], "Document"], until: tuple[str, ...]) -> "Document":
    """Look until the table is in one of these states. Ends the command when it cannot be built or nobody builds it."""
    with output.steps() as progress:
        for row in _every(_POLL, look):
            progress(f"{row['table']}: {row['state']}", row["log_index"] + 1, row["head"] + 1)
            if row["state"] in until:
                return row
            if row["problem"]:
                fix = f"mend the projection, then `hallmark projections drop {row['name']} {row['table']}`"
                base.fail(f"{row['table']} cannot be built: {row['problem']}", fix)
    raise AssertionError("looking never ends")


def _every(seconds: float, look: Callable[[], "Document"]) -> Iterator["Document"]:
    """What is seen each time. Ends the command when nothing has changed for long."""
    seen: Any = None
    since = time.monotonic()
    while True:
        row = look()
        yield row
        if (now := (row["log_index"], row["state"])) != seen:
            seen, since = now, time.monotonic()
        if time.monotonic() - since > _PATIENCE and row["lag"] > 0:
            base.fail(
                f"{row['table']} has stood still at {row['log_index']} for {_PATIENCE:g} s",
                f"see that a service runs that has version {row['version']} of {row['name']}, and what its log says",
            )
        time.sleep(seconds)


def _tell(row: "Document") -> None:
    match row["state"]:
        case "live":
            output.say(f"views.{row['name']} shows {row['table']}")
        case "ready":
            output.say(f"{row['table']} is ready. Next:  hallmark projections switch {row['name']}")
        case _:
            output.say(f"{row['table']} is {row['state']}: {row['lag']} events behind")
