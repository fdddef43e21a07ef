"""The sample advisories of the journey, in OSV 1.7 form. Their summaries say that they are samples."""

import json
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from packaging.version import Version

from hallmark_demo.pipeline.sbom import Library

OLD_TORCH = Library(name="torch", version="1.13.0")
"""Not installed: what the vulnerable variant's SBOM names on purpose. Its advisory restates a real, public one."""


def old_torch_advisory() -> dict[str, Any]:
    """HMSA-2026-0001: critical, matches `OLD_TORCH` and no torch from 1.13.1 on."""
    return _shipped("HMSA-2026-0001")


def advisory_for_installed(library: str, *, now: datetime) -> dict[str, Any]:
    """HMSA-2026-0002: an exercise that affects just the installed version of `library`, published `now`.

    Raises `PackageNotFoundError` if it is not installed: an advisory that hits nothing shows nothing.
    """
    moment = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {**_shipped("HMSA-2026-0002"), "published": moment, "modified": moment, "affected": [_affected(library)]}


def _affected(library: str) -> dict[str, Any]:
    installed = version(library)
    events = [{"introduced": installed}, {"fixed": next_patch(installed)}]
    package = {"ecosystem": "PyPI", "name": library, "purl": f"pkg:pypi/{library}"}
    return {"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}]}


def next_patch(installed: str) -> str:
    """The smallest plain release above a version: `1.6.0` to `1.6.1`, `2.0` to `2.0.1` (PEP 440)."""
    parsed = Version(installed)
    epoch = f"{parsed.epoch}!" if parsed.epoch else ""
    return f"{epoch}{parsed.major}.{parsed.minor}.{parsed.micro + 1}"


def _shipped(advisory: str) -> dict[str, Any]:
    text = (files("hallmark_demo") / "advisories" / f"{advisory}.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document
