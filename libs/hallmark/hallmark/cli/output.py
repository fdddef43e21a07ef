"""What is printed: JSON for machines, tables for persons. Nothing that comes from outside reaches a terminal raw."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import typer

from hallmark.cli.base import wants_json

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text
    from rich.tree import Tree

_COLOURS: Final = {
    "approved": "green", "approve": "green", "pass": "green", "clean": "green", "ok": "green", "allowed": "green",
    "candidate": "cyan", "in_review": "cyan", "review": "yellow", "excepted": "yellow", "deprecated": "yellow",
    "remediate": "yellow", "high": "yellow", "fail": "red", "failed": "red", "refused": "red", "rejected": "red",
    "reject": "red", "malicious": "red", "suspended": "red", "critical": "red", "open": "red", "error": "red",
}  # fmt: skip
_UNBROKEN: Final = 10_000
"""Columns of a file or pipe, where nothing is to be broken into lines."""


def show(document: Any, human: Callable[[], None]) -> None:
    """The document as JSON if `--json` was given, else whatever `human` prints."""
    if wants_json():
        typer.echo(as_json(document))
    else:
        human()


def as_json(document: Any, indent: int | None = 2) -> str:
    return json.dumps(document, indent=indent, default=str)


def plain(value: object) -> str:
    """Text without what would steer a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in str(value))


def say(text: str, colour: str | None = None) -> None:
    """A line, of any length, unbroken."""
    typer.secho(plain(text), fg=colour)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None) -> None:
    """Rows under columns; the states and verdicts among them in colour."""
    from rich.console import Console  # noqa: PLC0415 - only for a person

    if title:
        say(f"\n{title}")
    Console(width=None if sys.stdout.isatty() else _UNBROKEN).print(drawn(columns, rows))


def drawn(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> "Table":
    """The same, for whoever prints it."""
    from rich.table import Table  # noqa: PLC0415 - only for a person

    made = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(_cell(column), overflow="fold")
    for row in rows:
        made.add_row(*map(_cell, row))
    return made


def tree(drawn: "Tree") -> None:
    """A tree of `line`s."""
    from rich.console import Console  # noqa: PLC0415 - only for a person

    Console(width=None if sys.stdout.isatty() else _UNBROKEN).print(drawn)


def line(name: str, state: str, remark: str) -> "Text":
    """A name with its state, in colour, and a remark."""
    from rich.text import Text  # noqa: PLC0415 - only for a person

    parts = [(plain(name), ""), (f" {plain(state)}", _COLOURS.get(state, "")), (f" ({plain(remark)})", "dim")]
    return Text.assemble(*(part for part in parts if part[0].strip()))


def _cell(value: object) -> Any:
    from rich.text import Text  # noqa: PLC0415 - only for a person

    text = _text(value)
    return Text(text, style=_COLOURS.get(text, ""))


def facts(pairs: Mapping[str, object]) -> None:
    """Names and values, those that have one."""
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        if value not in (None, "", [], (), {}):
            typer.echo(f"{typer.style(name.ljust(width), bold=True)}  {_coloured(value)}")


def _coloured(value: object) -> str:
    text = ", ".join(map(_text, value)) if isinstance(value, list | tuple) else _text(value)
    return typer.style(text, fg=_COLOURS[text]) if text in _COLOURS else text


def _text(value: object) -> str:
    if value is None:
        return ""
    return plain(as_json(value, indent=None) if isinstance(value, dict | list | tuple) else value)


@contextmanager
def progress(label: str, total: int, *, events: bool = False) -> Iterator[Callable[[int], None]]:
    """A bar of bytes, or events, on standard error where a person watches; yields what takes those of each step."""
    if wants_json() or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - only for a person
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TransferSpeedColumn,
    )

    amounts = (MofNCompleteColumn(),) if events else (DownloadColumn(), TransferSpeedColumn())
    with Progress(
        TextColumn("{task.description}"), BarColumn(), *amounts, console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task(plain(label), total=total or None)
        yield lambda count: bar.advance(task, count)


@contextmanager
def waiting(label: str) -> Iterator[None]:
    """A sign on standard error, where a person watches, that something goes on."""
    if wants_json() or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # noqa: PLC0415 - only for a person
    from rich.text import Text  # noqa: PLC0415 - as above

    with Console(stderr=True).status(Text(plain(label))):
        yield


@contextmanager
def steps() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error where a person watches; yields what takes a label, what is done and what there is."""
    if wants_json() or not sys.stderr.isatty():
        yield lambda _label, _done, _total: None
        return
    from rich.console import Console  # noqa: PLC0415 - only for a person
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    parts = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*parts, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")
        yield lambda label, done, total: bar.update(task, description=plain(label), completed=done, total=total)
