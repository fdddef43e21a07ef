"""TAB in a real bash, and what it offers from a real server."""

import asyncio
import os
import pty
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import get_args

import pytest
from hallmark.cli import completion
from hallmark.until import STATUSES
from registry_core.access import ACTIONS
from registry_core.events.sources import SourceKind
from registry_core.inbox import OUTCOMES
from registry_core.settings import Settings
from registry_core.values import EvidenceType, Kind, State
from support_pipeline import HALLMARK, REF, Pipeline, pipeline

ASK = """
source "$2"
COMP_LINE="$1" COMP_POINT=${#1}
_hallmark_completion hallmark 2> /dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""
"""What bash does on TAB after the line $1: it ends words at : and @, and puts an offer in place of the last of them."""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    told = {
        **os.environ,
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
    }  # else it is the shell that runs the tests
    shown = subprocess.run([HALLMARK, "--show-completion", "bash"], capture_output=True, check=True, env=told).stdout
    path = tmp_path_factory.mktemp("bash") / "hallmark.sh"
    path.write_bytes(shown)
    return path


@pytest.fixture
async def place(settings: Settings, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with pipeline(settings, tmp_path) as found:
        yield found


async def offered(line: str, script: Path, environment: dict[str, str]) -> set[str]:
    process = await asyncio.create_subprocess_exec(
        "bash", "--norc", "-c", ASK, "bash", line, script,
        env={"HALLMARK_COMPLETION_SECONDS": "20", **environment}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return set(out.decode().split())


async def test_names_come_from_the_server_part_by_part(place: Pipeline, script: Path):
    await place.registered()
    async with place.client() as hallmark:
        await hallmark.register_version("prompt:answer@1.1.0-rc.1", digest="sha256:" + "1" * 64)
        await hallmark.set_alias("prompt:answer", "newest", REF, "the first")
        row = await anext(hallmark.changes("version_overview", {"version": "1.1.0-rc.1"}, after=-1))
    assert row["name"] == "answer"
    expected = {
        "hallmark lineage pro": {"prompt:"},
        "hallmark lineage prompt:an": {"answer@"},
        "hallmark lineage prompt:answer@1.": {"1.0.0", "1.1.0-rc.1"},
        "hallmark lineage prompt:answer@": {"1.0.0", "1.1.0-rc.1", "newest"},
        "hallmark status prompt:": {"answer", "answer@"},
        "hallmark alias remove prompt:answer ": {"newest"},
        "hallmark alias set ch": {"champion"},
    }
    for line, names in expected.items():
        assert await offered(line, script, place.environment) == names, line
    promotion = await place.promoted()
    await anext(place.reviewer.changes("review_queue", {"status": "in review"}, after=-1))
    assert await offered("hallmark review approve ", script, place.environment) == {promotion}


async def test_without_a_server_commands_and_known_values_are_offered_all_the_same(script: Path, tmp_path: Path):
    environment = {
        "PATH": f"{HALLMARK.parent}{os.pathsep}{os.environ['PATH']}", "HALLMARK_URL": "http://127.0.0.1:1",
        "XDG_CONFIG_HOME": str(tmp_path),
    }  # fmt: skip
    expected = {
        "hallmark sta": {"status"},
        "hallmark dead-letters r": {"replay"},
        "hallmark status --mark": {"--markdown"},
        "hallmark status x --until app": {"approved"},
        "hallmark status x --until=app": {"approved"},
        "hallmark evidence add model:m@1.0.0 s": {"sbom", "scan_report"},
        "hallmark source connect x --kind g": {"github"},
        "hallmark source deliveries x --outcome re": {"refused"},
        "hallmark account create x --role m": {"manager"},
        "hallmark account grant x v": {"viewer"},
        "hallmark lineage m": {"model:"},
        "hallmark lineage model:m": set(),
    }
    for line, names in expected.items():
        assert await offered(line, script, environment) == names, line


def test_what_is_known_beforehand_is_what_the_registry_knows():
    assert set(completion.KINDS) == set(Kind)
    assert set(completion.STATES) == set(State)
    assert set(completion.EVIDENCE) == set(EvidenceType)
    assert set(completion.STATUSES) == set(STATUSES)
    assert set(completion.SOURCES) == set(get_args(SourceKind))
    assert completion.OUTCOMES == OUTCOMES
    assert {role.rstrip(":") for role in completion.ROLES} == ACTIONS["read"]


def test_tab_on_a_terminal_completes_the_line(script: Path, tmp_path: Path):
    """A bash as a person has it: the first part of a name is put in, with no space after it."""
    process, terminal = pty.fork()
    if process == 0:
        environment = {"PATH": f"{HALLMARK.parent}{os.pathsep}{os.environ['PATH']}", "TERM": "dumb", "PS1": "ready> "}
        os.chdir(tmp_path)
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], environment)
    try:
        read_until(terminal, "ready> ")
        os.write(terminal, f'source {script}; hallmark() {{ command hallmark "$@"; }}\n'.encode())
        read_until(terminal, "ready> ")
        os.write(terminal, b"hallmark lineage mod\t")
        assert read_until(terminal, "model:").endswith("hallmark lineage model:")
    finally:
        os.write(terminal, b"\x03exit\n")
        os.close(terminal)
        os.waitpid(process, 0)


def read_until(terminal: int, word: str) -> str:
    seen = ""
    while word not in seen:
        seen += os.read(terminal, 4096).decode()
    return seen
