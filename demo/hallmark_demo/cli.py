"""`hallmark demo`: the journey on parts that come as wheels, with nothing to set up and nothing left running."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.panel import Panel

RESULTS = Path("var/demo")
INTRODUCTION = (
    "[bold]Hallmark[/] decides what may be promoted and served, and proves afterwards what happened.\n"
    "This walks one real model from CI to retirement, on a real PostgreSQL and a real Kafka broker\n"
    "that start here and stop at the end."
)


def demo(
    stay: Annotated[bool, typer.Option(help="Keep everything running at the end, to look around.")] = False,
) -> None:
    """Walk one real model from CI to retirement: train, scan, refuse, review, serve, age, audit."""
    # One thread is enough for models this small, and two cores are also the database's, the broker's and the services'.
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    console, started = Console(), monotonic()
    try:
        console.print(Panel(INTRODUCTION, border_style="cyan"))
        with ExitStack() as parts:
            with _undisturbed():
                folder = parts.enter_context(_workspace())
                child = parts.enter_context(_server(folder, console))
            site = _site(child, folder, console)
            outcome = _walk(site, folder, console)
            _keep(outcome.pack)
            _summarise(outcome, monotonic() - started, console)
            if stay:
                _stay(site, console)
    except KeyboardInterrupt:
        console.print("\n[yellow]Stopped.[/] Nothing is left running; `make demo` starts afresh.")
        raise typer.Exit(130) from None


@contextmanager
def _workspace() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="hallmark-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """An interrupt waits for the end of the block: whatever has begun by then has somebody who ends it."""
    waiting: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: waiting.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if waiting:
        raise KeyboardInterrupt


@contextmanager
def _server(folder: Path, console: Console) -> Iterator["subprocess.Popen[bytes]"]:
    """A child that ends with us, even when we are killed."""
    command = [sys.executable, "-m", "hallmark_demo.server", str(folder / "var")]
    log = (folder / "server.log").open("wb")
    with (
        log,
        subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        ) as child,
    ):
        try:
            yield child
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # what stops is already stopping
            console.print("  stopping ...", style="dim")
            with suppress(OSError):
                child.stdin.close()  # type: ignore[union-attr]  # it is a pipe
            with suppress(subprocess.TimeoutExpired):
                child.wait(15)
            child.kill()


def _site(child: "subprocess.Popen[bytes]", folder: Path, console: Console) -> Any:
    from hallmark_demo.journey import Site  # noqa: PLC0415 - keeps `hallmark --help` quick

    with console.status("  starting PostgreSQL, a Kafka broker and seven services ..."):
        site = _read_site(child, folder)
    console.print(f"  [green]✓[/] PostgreSQL, Kafka broker and seven services at {site['url']}", highlight=False)
    return Site(**site)


def _read_site(child: "subprocess.Popen[bytes]", folder: Path) -> dict[str, str]:
    line = child.stdout.readline() if child.stdout else b""
    if not line:
        told = (folder / "server.log").read_text(errors="replace").strip().splitlines()[-5:]
        raise SystemExit("The server did not start:\n" + "\n".join(told) + "\n`hallmark doctor` says what is wrong.")
    site: dict[str, str] = json.loads(line)
    return site


def _walk(site: Any, folder: Path, console: Console) -> Any:
    from hallmark_demo.journey import run_journey  # noqa: PLC0415 - keeps `hallmark --help` quick

    return run_journey(site, folder, console)


def _keep(pack: Path | None) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    if pack:
        shutil.copy(pack, RESULTS / pack.name)
        shutil.copy(pack.with_name("tampered.hallmark"), RESULTS / "tampered.hallmark")
        shutil.copy(pack.with_name("log.key"), RESULTS / "log.key")


def _summarise(outcome: Any, seconds: float, console: Console) -> None:
    console.print(
        Panel(
            f"[bold]{outcome.approved}[/] went from draft to candidate, approved, deprecated and retired.\n"
            f"{len(outcome.refusals)} things that must not pass were refused, each with its rule, owner and fix.\n"
            f"Three people approved with their own keys; one decision record was signed.\n"
            f"{outcome.verified.events} events of it are proven in one file that needs no access to verify:\n\n"
            f"  [cyan].venv/bin/hallmark audit verify {RESULTS}/evidence.hallmark --key $(cat {RESULTS}/log.key)[/]\n"
            f"  [cyan].venv/bin/hallmark audit verify {RESULTS}/tampered.hallmark[/]   (one byte flipped)\n\n"
            f"Look around: [cyan]make up[/], or [cyan].venv/bin/hallmark demo --stay[/] to browse this journey.",
            title=f"[green]The journey took {seconds:.0f} s",
            border_style="green",
        )
    )


def _stay(site: Any, console: Console) -> None:
    link = f"{site.url}/login?token={site.token}"
    console.print(f"Console: [cyan]{link}[/]\nCtrl-C stops everything.", highlight=False, soft_wrap=True)
    with suppress(KeyboardInterrupt):
        while True:
            sleep(3600)
