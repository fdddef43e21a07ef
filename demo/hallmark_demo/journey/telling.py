"""How the journey is told to a person."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.table import Table


class Teller:
    """Numbered steps, refusals and tables on a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._step = 0

    def step(self, title: str) -> None:
        self._step += 1
        self.console.rule(f"[bold]{self._step}  {title}", align="left", style="cyan")

    def say(self, text: str) -> None:
        self.console.print(f"  {text}", highlight=False)

    def good(self, text: str) -> None:
        self.console.print(f"  [green]✓[/] {text}", highlight=False)

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        with self.console.status(f"  {text}"):
            yield

    @contextmanager
    def uploading(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """A progress bar over bytes."""
        columns = (TextColumn("  {task.description}"), BarColumn(24), DownloadColumn())
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(what, total=total)
            yield lambda sent: progress.advance(task, sent)

    def refused(self, what: str, reason: dict[str, Any], others: Sequence[str] = ()) -> None:
        """Rule, evidence, owner and shortest fix."""
        table = Table.grid(padding=(0, 2))
        table.add_row("[dim]rule", f"[bold]{reason['rule']}[/]  {reason.get('title', '')}")
        table.add_row("[dim]because", reason["detail"])
        table.add_row("[dim]evidence", "; ".join(list(reason["evidence"])[:3]) or "none")
        table.add_row("[dim]owner", str(reason["owner"]))
        table.add_row("[dim]fix", f"[green]{reason['fix']}")
        if others:
            table.add_row("[dim]also", ", ".join(others))
        self.console.print(Panel(table, title=f"[red]refused[/]  {what}", title_align="left", border_style="red"))

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        table = Table(*columns, title=title, title_justify="left", title_style="bold", header_style="dim", box=None)
        for row in rows:
            table.add_row(*map(str, row))
        self.console.print(table)
