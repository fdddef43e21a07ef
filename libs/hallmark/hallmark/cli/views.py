"""`hallmark view`, `hallmark events list`."""

from typing import Annotated, Any

import typer

from hallmark.cli import base, output
from hallmark.cli.base import Json


def add_to(app: typer.Typer) -> None:
    app.command()(view)
    events = base.group("The vocabulary of the log.")
    events.command("list")(list_events)
    app.add_typer(events, name="events")


def view(
    name: Annotated[str | None, typer.Argument(help="The view; without it, the views there are.")] = None,
    where: Annotated[list[str] | None, typer.Option("--where", metavar="COLUMN=VALUE")] = None,
    at_least: Annotated[int | None, typer.Option(help="Wait until this log index is in it.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    json: Json = False,
) -> None:
    """Rows of a view, those changed last at the end."""
    filters = dict(_pair(text) for text in where or [])
    with base.client() as hallmark:
        found = hallmark.views(name, filters, at_least, limit=limit) if name else hallmark.views()
    output.show(found, lambda: _rows(found) if name else _views(found))


def _pair(text: str) -> tuple[str, str]:
    column, separator, value = text.partition("=")
    return (
        (column, value)
        if separator
        else base.fail(f"{text!r} is not COLUMN=VALUE", "write e.g. --where state=approved", base.USAGE)
    )


def _views(found: dict[str, Any]) -> None:
    output.table(["VIEW", "COLUMNS"], [[v["name"], ", ".join(v["columns"])] for v in found["views"]])


def _rows(found: dict[str, Any]) -> None:
    rows = found["rows"]
    columns = list(rows[0]) if rows else ["(no rows)"]
    output.table([c.upper() for c in columns], [[row.get(c) for c in columns] for row in rows])


def list_events(json: Json = False) -> None:
    """Every event type this release knows, with its topic."""
    from registry_core.events import event_types, topic_of  # noqa: PLC0415 - only when needed

    rows = [
        {"type": name, "topic": topic_of(name), "about": (kind.__doc__ or "").strip().split("\n", 1)[0]}
        for name, kind in event_types().items()
    ]
    output.show(rows, lambda: output.table(["TYPE", "TOPIC", "ABOUT"], [list(row.values()) for row in rows]))
