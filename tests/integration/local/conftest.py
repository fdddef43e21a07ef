"""Folders that PostgreSQL's account can enter, and parents that can be killed."""

import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from registry_core.local.processes import until

Parent = subprocess.Popen[str]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Unlike tmp_path, which is closed to the account that root's PostgreSQL runs as."""
    with tempfile.TemporaryDirectory(prefix="hallmark-test-", ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o711)
        yield Path(name)


@pytest.fixture
def parent() -> Iterator[Callable[..., Parent]]:
    """Run Python code in a process of its own, which a test may kill; it is killed at the end in any case."""
    started: list[Parent] = []

    def run(code: str, *arguments: object) -> Parent:
        argv = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
        started.append(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def gone() -> Callable[[int], object]:
    """Wait until a process has ended (a zombie, which only its parent can clear away, has)."""

    def ended(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    async def wait(pid: int) -> bool:
        return await until(lambda: ended(pid), 20)

    return wait
