"""When an approval no longer speaks of what it was given for (mission E5). Pure."""

from collections.abc import Sequence
from typing import Final

from registry_core.events import Event
from registry_core.events.evidence import ArtifactScanned, EvaluationAssessed
from registry_core.events.lifecycle import ApprovalVoided
from registry_core.events.versions import DependencyChanged
from registry_core.values import Kind, parse_ref
from registry_core.version import Version

RUNS_WITH: Final = frozenset({Kind.PROMPT, Kind.ADAPTER})
"""Dependencies that a version runs with: its evaluations speak of the old one. A newer dataset, base model or source
changes nothing in what is served; it is recorded and policies see it, but it ends no approval."""


def cause_of(data: Event) -> str | None:
    """Why approvals given before this event end with it; None if they do not."""
    match data:
        case EvaluationAssessed(passed=False):
            missed = ", ".join(result.metric for result in data.results if not result.passed)
            return f"evaluation {data.suite} failed: {data.problem or missed}"
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
