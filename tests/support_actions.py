"""As much of a GitHub runner as a composite action meets: inputs, steps in bash, outputs, path, summary."""

import asyncio
import os
import re
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


@dataclass
class Run:
    """One use of an action."""

    action: Mapping[str, Any]
    inputs: Mapping[str, str]
    folder: Path
    environment: Mapping[str, str]
    values: dict[str, str] = field(default_factory=dict)
    """What expressions name: `inputs.x`, `steps.y.outputs.z`."""
    codes: dict[str, int] = field(default_factory=dict)
    log: str = ""

    @property
    def summary(self) -> str:
        return self._read("summary")

    @property
    def outputs(self) -> dict[str, str]:
        return {name: self.text(output["value"]) for name, output in self.action["outputs"].items()}

    def text(self, template: str) -> str:
        """With its expressions in place."""
        return _EXPRESSION.sub(lambda match: self._value(match[1]), template)

    def _value(self, expression: str) -> str:
        return next((value for part in expression.split("||") if (value := self.values.get(part.strip(), ""))), "")

    def _due(self, condition: str) -> bool:
        """After a failure only what is to run always."""
        parts = [part.strip() for part in condition.split("&&") if part]
        failed = any(self.codes.values())
        return ("always()" in parts or not failed) and all(self._true(part) for part in parts if part != "always()")

    def _true(self, part: str) -> bool:
        name, operator, literal = part.partition("!=") if "!=" in part else part.partition("==")
        return (self._value(name.strip()) == literal.strip().strip("'")) == (operator == "==")

    def _read(self, name: str) -> str:
        path = self.folder / f"github-{name}"
        return path.read_text() if path.exists() else ""

    async def run(self) -> "Run":
        for name, about in self.action["inputs"].items():
            self.values[f"inputs.{name}"] = self.inputs.get(name, about.get("default", ""))
        for step in self.action["runs"]["steps"]:
            if self._due(step.get("if", "")):
                await self._step(step, step.get("id", step["name"]))
        return self

    async def _step(self, step: Mapping[str, Any], name: str) -> None:
        script = self.folder / "step.sh"
        script.write_text(step["run"])
        before = len(self._read("output"))
        process = await asyncio.create_subprocess_exec(
            *("bash", "--noprofile", "--norc", "-eo", "pipefail", script),
            env=self._environment(step), cwd=self.folder, stdout=PIPE, stderr=STDOUT,
        )  # fmt: skip
        out, _ = await asyncio.wait_for(process.communicate(), 90)
        self.log += out.decode()
        self.codes[name] = process.returncode or 0
        for line in self._read("output")[before:].splitlines():
            output, _, value = line.partition("=")
            self.values[f"steps.{name}.outputs.{output}"] = value

    def _environment(self, step: Mapping[str, Any]) -> dict[str, str]:
        files = {"GITHUB_OUTPUT": "output", "GITHUB_STEP_SUMMARY": "summary", "GITHUB_PATH": "path"}
        path = os.pathsep.join([*reversed(self._read("path").split()), self.environment["PATH"]])
        given = {name: self.text(value) for name, value in step.get("env", {}).items()}
        own = {name: str(self.folder / f"github-{file}") for name, file in files.items()}
        return {**self.environment, "PATH": path, "RUNNER_TEMP": str(self.folder), **own, **given}
