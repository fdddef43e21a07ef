"""When an approval no longer speaks of what it was given for. Pure."""

from collections.abc import Sequence
from typing import Final

from registry_core.events import Event
from registry_core.events.evidence import ArtifactScanned, EvaluationAssessed, EvidenceAttached
from registry_core.events.lifecycle import ApprovalVoided
from registry_core.events.versions import DependencyChanged, MetadataAmended
from registry_core.values import EvidenceType, Kind, parse_ref
from registry_core.version import Version

RUNS_WITH: Final = frozenset({Kind.PROMPT, Kind.ADAPTER})
"""Dependencies that a version runs with: its evaluations speak of the old one. A newer dataset, base model or source
changes nothing in what is served; it is recorded and policies see it, but it ends no approval."""


REPLACED: Final = frozenset({EvidenceType.SBOM, EvidenceType.PROVENANCE})
"""Evidence that says what a version is made of and where it comes from: another document is another decision's."""
DECIDED_ON: Final = ("licence", "risk_tier", "allowed_uses", "prohibited_uses")
"""Metadata that the policy and the reviewers decided on."""


def cause_of(data: Event, before: Version) -> str | None:
    """Why approvals given before this event end with it; None if they do not."""
    match data:
        case EvidenceAttached() if data.evidence_type in REPLACED and before.of_type(data.evidence_type):
            return f"the {data.evidence_type} was replaced"
        case MetadataAmended(metadata=metadata):
            changed = [name for name in DECIDED_ON if getattr(metadata, name) != getattr(before.metadata, name)]
            return f"amended: {', '.join(changed)}" if changed else None
        case EvaluationAssessed(passed=False, problem=None):  # with a problem, it says nothing about this version
            missed = ", ".join(result.metric for result in data.results if not result.passed)
            return f"evaluation {data.suite} failed: {missed}"
        case ArtifactScanned(verdict="malicious"):
            return f"{data.file} was found malicious by {data.scanner}"
        case DependencyChanged() if parse_ref(data.dependency).kind in RUNS_WITH:
            return f"{data.newer} followed {data.dependency}"
        case _:
            return None


def void_approvals(version: Version, *, then: Version, cause: str) -> Sequence[Event]:
    """End what was in force when the cause occurred (`then`) and still is. A later approval knew of the cause."""
    held = {approval.promotion for approval in then.approvals if approval.ended is None}
    return [
        ApprovalVoided(ref=version.ref, promotion=approval.promotion, cause=cause)
        for approval in version.approvals
        if approval.ended is None and approval.promotion in held
    ]
