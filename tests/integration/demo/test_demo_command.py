"""`hallmark demo` as a user runs it: interrupted at any moment, and again at once, as root or not."""

import os
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from registry_core.local.postgres_layout import runs_as, unprivileged_account

HALLMARK = Path(sys.executable).with_name("hallmark")
MOMENTS = {
    "before anything has started": "walks one real model",
    "while servers start": "starting PostgreSQL",
    "while the model is trained": "seven services at",
    "in the middle of the journey": "must not pass is refused",
}
"""What was printed last before the interrupt."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A place for the demo's own files, reachable for other accounts."""
    with tempfile.TemporaryDirectory(prefix="hallmark-test-", ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o777)
        yield Path(name)


def demo(folder: Path, user: int | None = None) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HALLMARK_")}
    environment |= {"TMPDIR": str(folder), "HOME": str(folder), "FORCE_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    identity = {"user": user, "group": user, "extra_groups": []} if user is not None else {}
    return subprocess.Popen(
        [str(HALLMARK), "demo"], cwd=folder, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **identity,
    )  # fmt: skip


def left_in(folder: Path) -> tuple[list[psutil.Process], list[Path]]:
    """Processes that still name the folder, and working folders that are still there."""
    running = psutil.process_iter(["cmdline"])
    found = [p for p in running if any(str(folder) in part for part in p.info["cmdline"] or [])]
    return found, list(folder.glob("hallmark-demo-*"))


@pytest.mark.faults
@pytest.mark.parametrize("said", MOMENTS.values(), ids=MOMENTS)
def test_an_interrupt_leaves_nothing_behind(folder: Path, said: str) -> None:
    process = demo(folder)
    assert process.stdout is not None
    told = ""
    while said not in told:
        piece = process.stdout.read(1)
        assert piece, told
        told += piece
    os.killpg(process.pid, signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 130, told + rest
    assert "Nothing is left running" in rest
    assert "Traceback" not in rest
    assert left_in(folder) == ([], [])


def test_a_server_that_cannot_start_ends_and_says_why(folder: Path) -> None:
    """Though its standard input stays open, by which it would otherwise know when to end."""
    (folder / "var").write_text("a file where a folder is needed")
    with subprocess.Popen(
        [sys.executable, "-m", "hallmark_demo.server", str(folder / "var")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as server:  # fmt: skip
        assert server.wait(60) != 0
        assert server.stderr is not None
        assert str(folder / "var").encode() in server.stderr.read()


@pytest.mark.timeout(240)
def test_it_walks_to_the_end_with_its_ports_taken_and_without_root(folder: Path) -> None:
    with socket.socket() as console, socket.socket() as kafka:
        for listener, port in ((console, 8080), (kafka, 9092)):
            try:
                listener.bind(("127.0.0.1", port))
                listener.listen()
            except OSError:
                pass  # somebody else has taken it, which is as good
        process = demo(folder, _somebody_else())
        told, _ = process.communicate(timeout=230)
    assert process.returncode == 0, told
    assert "The journey took" in told
    assert left_in(folder) == ([], [])
    verified = subprocess.run(
        [str(HALLMARK), "audit", "verify", "var/demo/evidence.hallmark"], cwd=folder, capture_output=True, check=False
    )
    assert verified.returncode == 0, verified.stdout


def _somebody_else() -> int | None:
    """An unprivileged account when this is root and the account can reach the program; else None."""
    if os.geteuid() or not runs_as(unprivileged_account(), str(HALLMARK), "--version"):
        return None
    return pwd.getpwnam("nobody").pw_uid
