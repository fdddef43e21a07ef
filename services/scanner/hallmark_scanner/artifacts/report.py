"""The report of a scan."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry_core.events.evidence import Finding, Verdict

SCANNER = "hallmark-scanner/0.1"
EXIT_CODES: dict[Verdict, int] = {"clean": 0, "review": 1, "malicious": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanReport:
    """`clean` only where every byte was accounted for by a format understood and nothing was found."""

    verdict: Verdict
    format: str
    read_completely: bool
    findings: tuple[Finding, ...]
    digest: str
    """`sha256:<hex>` of the whole file."""
    isolation: tuple[str, ...] = ()
    """What kept the scanning process apart, and what did not hold; empty when it ran in the caller's process."""


def report_as_json(report: ScanReport) -> str:
    """The report as one JSON object, for the command line and the sandbox."""
    fields: dict[str, Any] = {
        "scanner": SCANNER,
        "verdict": report.verdict,
        "format": report.format,
        "read_completely": report.read_completely,
        "digest": report.digest,
        "isolation": report.isolation,
        "findings": [finding.model_dump(mode="json") for finding in report.findings],
    }
    return json.dumps(fields)


def report_from_fields(fields: Mapping[str, Any]) -> ScanReport:
    """A report from what the readers or the sandbox's process say. Raises ValueError, KeyError or TypeError."""
    return ScanReport(
        verdict=fields["verdict"],
        format=fields["format"],
        read_completely=fields["read_completely"],
        findings=tuple(Finding.model_validate(found) for found in fields["findings"]),
        digest=fields["digest"],
        isolation=tuple(fields.get("isolation", ())),
    )


def exit_code(report: ScanReport) -> int:
    """0 clean, 1 review, 2 malicious."""
    return EXIT_CODES[report.verdict]
