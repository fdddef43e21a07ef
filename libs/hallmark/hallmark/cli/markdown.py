"""The standing of a version or a promotion as Markdown, for the summary of a pipeline's run."""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from hallmark.cli.output import plain

_STEERS: Final = re.compile(r"([\\`*_{}\[\]()#+!|~@:-])")


def summary(found: Mapping[str, Any]) -> str:
    """A heading, the facts, and what stands in the way with its fix."""
    if "status" in found:
        return _promotion(found)
    return _version(found) if "state" in found else _asset(found)


def cell(value: object) -> str:
    """Text as nothing but text: no link, no mention, no markup of those who wrote it."""
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str("" if value is None else value)
    return _STEERS.sub(r"\\\1", html.escape(" ".join(plain(text).split()), quote=False))


def _version(found: Mapping[str, Any]) -> str:
    metadata = found.get("metadata") or {}
    facts = {
        "State": found["state"], "Digest": found["digest"], "Owner": metadata.get("owner"),
        "Risk tier": metadata.get("risk_tier"), "Waiting for": found.get("pending_checks"),
    }  # fmt: skip
    return _heading(found["ref"]) + _table(["", ""], facts.items())


def _asset(found: Mapping[str, Any]) -> str:
    rows = [[one["ref"], one["state"], one["owner"]] for one in found["versions"]]
    return _heading(found["asset"]) + _table(["Version", "State", "Owner"], rows)


def _promotion(found: Mapping[str, Any]) -> str:
    context = "/".join(map(str, (found.get("context") or {}).values()))
    facts = {
        "Version": found["ref"], "Status": found["status"], "For": context, "Environment": found.get("environment"),
        "Policy": found.get("policy"), "Reviews by": found.get("roles"), "Approved until": found.get("expires_at"),
    }  # fmt: skip
    failed = [rule for rule in found.get("results") or found.get("reasons") or [] if rule["outcome"] != "pass"]
    rows = [[rule["rule"], rule["outcome"], rule.get("detail"), rule.get("owner"), rule.get("fix")] for rule in failed]
    rules = _table(["Rule", "Outcome", "Because", "Owner", "Fix"], rows) if rows else ""
    return _heading(f"Promotion {found['promotion']}") + _table(["", ""], facts.items()) + rules


def _heading(text: str) -> str:
    return f"### {cell(text)}\n\n"


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [columns, ["---"] * len(columns), *([cell(value) for value in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"
