"""The form of the CI templates, and that nothing which stands in an input is ever a command."""

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from support_actions import Run

ROOT = Path(__file__).parents[3]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "docs/ci/github-action/action.yml").read_text())
WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / "docs/ci/github-workflow.yml").read_text())
GITLAB: dict[str, Any] = yaml.safe_load((ROOT / "docs/ci/gitlab-ci.yml").read_text())
HOSTILE = (
    '"; touch mark; #',
    "$(touch mark)",
    "`touch mark`",
    "x\ntouch mark",
    "'; touch mark #",
    "x\nLINES\ntouch mark",
)
RECORDER = """#!/bin/sh
for argument; do printf '%s\\0' "$argument"; done >> called
echo '{"ref": "r", "digest": "d", "promotion": "p", "state": "draft"}'
"""
"""In place of `hallmark`: keeps the arguments it was called with."""


@pytest.fixture
def runner(tmp_path: Path) -> dict[str, str]:
    """The environment of one that has the recorder on its path."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "hallmark").write_text(RECORDER)
    (tmp_path / "bin" / "hallmark").chmod(0o755)
    return {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}


def called(folder: Path) -> list[str]:
    return (folder / "called").read_text().split("\0")


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_what_stands_in_an_input_is_an_argument_and_never_a_command(
    tmp_path: Path, runner: dict[str, str], hostile: str
):
    given = dict.fromkeys(set(ACTION["inputs"]) - {"install", "token"}, hostile) | {"install": "", "token": "t"}
    run = await Run(ACTION, given, tmp_path, runner).run()
    assert not (tmp_path / "mark").exists(), run.log
    assert set(run.codes.values()) == {0}, run.log
    arguments = called(tmp_path)
    for expected in (hostile, f"--for={hostile}", f"--format={hostile}", f"--until={hostile}"):
        assert expected in arguments
    for line in hostile.split("\n"):  # lists have an entry a line
        assert {line, f"--set={line}", f"--evidence={line}"} <= set(arguments)


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_nor_in_a_variable_of_gitlab(tmp_path: Path, runner: dict[str, str], hostile: str):
    names = set(re.findall(r"HALLMARK_[A-Z_]+", json.dumps(GITLAB))) - {"HALLMARK_INSTALL"}
    environment = {**runner, **dict.fromkeys(names, hostile)}
    for job in (".hallmark-register", ".hallmark-decision"):
        assert await gitlab_job(GITLAB[job]["script"], tmp_path, environment) == 0
    assert not (tmp_path / "mark").exists()
    assert {hostile, f"--for={hostile}", f"--until={hostile}"} <= set(called(tmp_path))
    assert (tmp_path / "hallmark.env").read_text() == "HALLMARK_DIGEST=d\nHALLMARK_PROMOTION=p\n"


async def gitlab_job(script: list[str], folder: Path, environment: dict[str, str]) -> int:
    """As a runner does where there is no bash: one script that ends at the first failure."""
    text = "\n".join(["set -e", *script])
    process = await asyncio.create_subprocess_exec("sh", "-c", text, cwd=folder, env=environment)
    return await asyncio.wait_for(process.wait(), 60)


@pytest.mark.parametrize("hostile", HOSTILE[:3])
async def test_spliced_into_a_script_the_same_would_have_been_one(tmp_path: Path, runner: dict[str, str], hostile: str):
    step = {"name": "spliced", "run": f'echo "{hostile}"', "shell": "bash"}
    await Run({"inputs": {}, "outputs": {}, "runs": {"steps": [step]}}, {}, tmp_path, runner).run()
    assert (tmp_path / "mark").exists()


def test_no_script_has_an_expression_in_its_text():
    scripts = [step["run"] for step in ACTION["runs"]["steps"]]
    jobs = [step.get("run", "") for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    assert [script for script in [*scripts, *jobs] if "${{" in script] == []


def test_its_form_is_that_of_a_composite_action():
    assert {"name", "description", "inputs", "outputs", "runs"} <= set(ACTION)
    assert ACTION["runs"]["using"] == "composite"
    for step in ACTION["runs"]["steps"]:
        assert set(step) <= {"name", "id", "if", "shell", "env", "run"}
        assert step["shell"] == "bash"
    for name, about in ACTION["inputs"].items():
        assert about["description"], name
        assert ("default" in about) != about.get("required", False), name
    text = json.dumps(ACTION)
    ids = {step.get("id") for step in ACTION["runs"]["steps"]}
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(ACTION["inputs"])
    assert set(re.findall(r"steps\.([\w-]+)", text)) <= ids


def test_the_example_gives_what_the_action_takes_and_pins_what_it_uses():
    steps = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    (ours,) = [step for step in steps if step.get("uses", "").startswith("./")]
    assert set(ours["with"]) <= set(ACTION["inputs"])
    assert {name for name, about in ACTION["inputs"].items() if about.get("required")} <= set(ours["with"])
    others = [step["uses"] for step in steps if "uses" in step and step is not ours]
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", used) for used in others), others
