"""What takes its time shows so where a person watches, and nowhere else."""

import asyncio
import os
import pty
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from registry_core.settings import Settings
from support_pipeline import HALLMARK, Pipeline, pipeline

REF = "model:m@1.0.0"
MIB = 1024 * 1024


@pytest.fixture
async def place(settings: Settings, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with pipeline(settings, tmp_path) as found:
        (tmp_path / "w.bin").write_bytes(os.urandom(8 * MIB))
        (tmp_path / "card.md").write_text("# A model\n")
        yield found


async def watched(place: Pipeline, *arguments: str) -> str:
    """What a command writes to the terminal that its standard error is; its output goes elsewhere."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        HALLMARK, *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=theirs, cwd=place.folder,
        env={**place.environment, "TERM": "xterm", "COLUMNS": "120"},
    )  # fmt: skip
    os.close(theirs)
    seen = await asyncio.to_thread(_read, ours)
    assert await asyncio.wait_for(process.wait(), 60) == 0, seen
    return seen


def _read(terminal: int) -> str:
    seen = b""
    try:
        while data := os.read(terminal, 65536):
            seen += data
    except OSError:  # Linux's word for a terminal whose last writer has gone
        pass
    finally:
        os.close(terminal)
    return seen.decode()


@pytest.mark.parametrize("before", [(), ("--json",)])
async def test_bars_are_for_terminals_and_persons(place: Pipeline, before: tuple[str, ...]):
    commands = {
        "uploading": ["register", REF, "w.bin", *before],
        "sending card.md": ["evidence", "add", REF, "model_card", "card.md", *before],
        "downloading": ["download", REF, "--to", "copy", *before],
    }
    for label, arguments in commands.items():
        assert (label in await watched(place, *arguments)) == (not before), label


async def test_a_pipe_gets_none(place: Pipeline):
    for arguments in (["register", REF, "w.bin"], ["download", REF, "--to", "copy"]):
        code, _, err = await place.run(*arguments)
        assert (code, err) == (0, "")
