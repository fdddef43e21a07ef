"""Text with `{…}` placeholders, each a CEL expression; a list of strings is joined by commas."""

import re
from dataclasses import dataclass
from typing import Any

from hallmark_approval.policy.cel import CompileError, Environment, Program, Returns

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def as_text(value: Any) -> str:
    """A value as a person writes it: lists with commas, whole floats without `.0`."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, slots=True)
class Template:
    parts: tuple[str | Program, ...]

    def render(self, activation: Any) -> str:
        """Raises `EvaluationError` if a placeholder fails."""
        return "".join(p if isinstance(p, str) else as_text(p.run(activation)) for p in self.parts).strip()


def compile_template(environment: Environment, text: str) -> Template:
    """Raises `CompileError`, naming the placeholder."""
    if re.search(r"[{}]", _PLACEHOLDER.sub("", text)):
        raise CompileError("a brace without its partner; placeholders are written {expression} and hold no braces")
    pieces = _PLACEHOLDER.split(text)
    return Template(tuple(_placeholder(environment, p) if i % 2 else p for i, p in enumerate(pieces)))


def _placeholder(environment: Environment, source: str) -> Program:
    try:
        return environment.compile(source, Returns.TEXT)
    except CompileError as error:
        raise CompileError(f"placeholder {{{source}}}: {error}") from error
