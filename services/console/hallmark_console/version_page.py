"""What a version's page shows, put together from its own stream: pure functions over the folded version."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from registry_core.projections import Row
from registry_core.values import EvidenceType, Severity
from registry_core.version import Approval, Version

Outcome = Literal["pass", "fail", "wait", "none"]
_SERIOUS = (Severity.CRITICAL, Severity.HIGH)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the checks panel. `none`: there was nothing to check, `wait`: the outcome is not there yet."""

    title: str
    outcome: Outcome
    text: str
    fix: str = ""


def checks(version: Version) -> list[Check]:
    """The automated checks and what they say, without claiming what was not checked."""
    return [_scan(version), _dependencies(version), _provenance(version), _evaluation(version)]


def _scan(version: Version) -> Check:
    title, total = "Artifact scan", len(version.files)
    bad = [s for s in version.scans.values() if s.verdict != "clean" or not s.read_completely]
    if bad:
        text = "; ".join(f"{s.file}: {s.verdict}{'' if s.read_completely else ', not read completely'}" for s in bad)
        return Check(title, "fail", text, "replace the files named and register a new version")
    if total and len(version.scans) >= total:
        return Check(title, "pass", f"{_count(total, 'file')}, read completely and clean")
    if not version.stored:
        return Check(title, "none", "No file is in the artifact store", "upload the version's files")
    return Check(title, "wait", f"{len(version.scans)} of {total} files scanned")


def _dependencies(version: Version) -> Check:
    title, known = "Dependencies", version.dependencies
    sboms = version.of_type(EvidenceType.SBOM)
    if not sboms:
        return Check(title, "none", "No SBOM", "attach a CycloneDX or SPDX document as evidence of type sbom")
    if known is None or known.sbom_digest != sboms[-1].digest:
        return Check(title, "wait", "The newest SBOM is being matched")
    if known.problem:
        return Check(title, "fail", f"The SBOM could not be used: {known.problem}", "attach a valid SBOM")
    serious = sum(v.severity in _SERIOUS for v in version.vulnerabilities.values())
    found = len(version.vulnerabilities)
    open_ones = f"{found} open vulnerabilit{'y' if found == 1 else 'ies'}, {serious} critical or high"
    state = open_ones if found else "none known to be vulnerable"
    text = f"{_count(known.components, 'component')}, {state}"
    return Check(title, "fail" if serious else "pass", text, "update the components named below" if serious else "")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _provenance(version: Version) -> Check:
    title, known = "Provenance", version.provenance
    statements = version.of_type(EvidenceType.PROVENANCE)
    if not statements:
        return Check(title, "none", "No provenance statement", "attach a signed SLSA statement from the build")
    if known is None or known.evidence_digest != statements[-1].digest:
        return Check(title, "wait", "The newest statement is being verified")
    if known.verified:
        return Check(
            title, "pass", f"Signature, key and subject hold; built by {known.builder or 'an unnamed builder'}"
        )
    return Check(title, "fail", known.problem or "Not verified", "attach a statement signed by a trusted builder's key")


def _evaluation(version: Version) -> Check:
    title, suites = "Evaluation", version.evaluations.values()
    failed = [suite.suite for suite in suites if not suite.passed]
    if failed:
        return Check(title, "fail", f"Not passed: {', '.join(failed)}", "mend what the metrics name and evaluate again")
    if suites:
        return Check(title, "pass", f"Passed: {', '.join(suite.suite for suite in suites)}")
    if version.of_type(EvidenceType.EVALUATION):
        return Check(title, "wait", "A report is being assessed")
    return Check(title, "none", "No evaluation report", "attach a report as evidence of type evaluation")


@dataclass(frozen=True, slots=True)
class ShownApproval:
    approval: Approval
    active: bool


def approvals(version: Version, now: datetime) -> list[ShownApproval]:
    """Every approval there was, those in force first."""
    active = version.active_approvals(now)
    shown = [ShownApproval(approval, approval in active) for approval in reversed(version.approvals)]
    return sorted(shown, key=lambda item: not item.active)


@dataclass(frozen=True, slots=True)
class Lineage:
    """What the lineage panel lists: both ways, the nearest first, each with its distance `steps`."""

    made_of: list[Row]
    used_by: list[Row]
    outdated: list[Row]
    complete: bool


def lineage(graph: Row) -> Lineage:
    """The walk from a version, as the panel shows it. What followed its own dependencies is said by its own events."""
    made_of, used_by = (
        [{**node, "steps": node[way]} for node in graph["nodes"] if node[way]] for way in ("up", "down")
    )
    further = [edge for edge in graph["outdated"] if edge["dependant"] != graph["ref"]]
    return Lineage(made_of, used_by, further, graph["complete"])


def standing_refusal(promotions: Iterable[Row]) -> Row | None:
    """The newest promotion, if it ended with no: what keeps the version from going on."""
    newest: Mapping[str, Any] | None = next(iter(promotions), None)
    return dict(newest) if newest and newest["status"] in ("refused", "rejected") else None
