"""What docs/sdk.md and docs/cli.md say is so: the programs run, the codes are the codes."""

import asyncio
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hallmark.cli import base
from registry_core.settings import Settings
from support_pipeline import Pipeline, pipeline

DOCS = Path(__file__).parents[3] / "docs"
PROGRAMS = re.findall(r"^```python\n(.*?)^```", (DOCS / "sdk.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
async def place(settings: Settings, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with pipeline(settings, tmp_path) as found:
        (tmp_path / "greeting.txt").write_text("Say hello.")
        (tmp_path / "card.md").write_text("# Greets\n")
        yield found


async def run(place: Pipeline, program: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env=place.environment, cwd=place.folder, stdout=PIPE, stderr=STDOUT
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, out.decode()
    return out.decode()


async def test_the_programs_of_the_sdk_page_run(place: Pipeline):
    said = [await run(place, program) for program in PROGRAMS]
    assert re.fullmatch(r"draft sha256:[0-9a-f]{64}\n", said[0])
    assert (place.folder / "copy" / "greeting.txt").read_text() == "Say hello."
    assert said[1:] == ["11\n", "draft\n"]


def test_the_exit_codes_of_the_page_are_those_of_the_code():
    table = {int(code) for code in re.findall(r"^\| (\d+) \|", (DOCS / "cli.md").read_text(), re.MULTILINE)}
    named = {base.REFUSED, base.USAGE, base.UNREACHABLE, base.MISSED, base.LATE, base.INTERRUPTED}
    assert table == named | {0}
    assert len(named) == 6
