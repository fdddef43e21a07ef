"""`version_overview`: the portfolio, one row per version."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from registry_core.events import Event, RecordedEvent
from registry_core.events.evidence import (
    ArtifactScanned,
    DependenciesScanned,
    EvaluationAssessed,
    EvidenceAttached,
    ProvenanceVerified,
    VulnerabilityFound,
    VulnerabilityResolved,
)
from registry_core.events.lifecycle import (
    ApprovalExpired,
    ApprovalVoided,
    DeploymentProvisioned,
    RemediationClockStarted,
    RemediationClockStopped,
    VersionApproved,
    VersionBecameCandidate,
    VersionDeprecated,
    VersionReinstated,
    VersionRetired,
    VersionReturnedToDraft,
    VersionSuspended,
)
from registry_core.events.promotions import PromotionClosed, PromotionOpened
from registry_core.events.versions import MetadataAmended, VersionRegistered
from registry_core.projections import Projection, Row
from registry_core.values import EvidenceType, Metadata, State, parse_ref

from hallmark_console.projections.rows import data_of, version_of

COLUMNS = """
    ref text,
    kind text,
    name text,
    version text,
    state text,
    owner text,
    backup_owner text,
    risk_tier text,
    purpose text,
    digest text,
    files integer,
    scans jsonb,
    scan_verdict text,
    evaluations jsonb,
    evaluations_passed integer,
    evaluations_failed integer,
    vulnerabilities jsonb,
    open_critical integer,
    open_high integer,
    sbom_present boolean,
    sbom_matched boolean,
    provenance_verified boolean,
    last_promotion text,
    last_promotion_outcome text,
    approvals jsonb,
    deployments jsonb,
    clocks jsonb,
    replacement text,
    registered_by text,
    registered_at timestamptz,
    updated_at timestamptz"""

_STATES: Final[Mapping[type[Event], State]] = {
    VersionBecameCandidate: State.CANDIDATE,
    VersionReturnedToDraft: State.DRAFT,
    VersionApproved: State.APPROVED,
    VersionDeprecated: State.DEPRECATED,
    VersionRetired: State.RETIRED,
    VersionSuspended: State.SUSPENDED,
    VersionReinstated: State.APPROVED,
}


def keys(event: RecordedEvent) -> Iterable[str]:
    ref = version_of(event)
    return (ref,) if ref else ()


def evolve(row: Row | None, event: RecordedEvent) -> Row | None:
    """The version's row after one more event of its stream."""
    data = data_of(event)
    at = event.recorded_at.isoformat()
    if isinstance(data, VersionRegistered):
        changes = _registered(data, at)
    elif row is None or data is None:
        return None
    else:
        changes = _lifecycle(row, data) or _checks(row, data) or _process(row, data)
    state = {"state": _STATES[type(data)].value} if type(data) in _STATES else {}
    return {**(row or {}), **changes, **state, "updated_at": at}


def _registered(data: VersionRegistered, at: str) -> Row:
    kind, name, version = parse_ref(data.ref)
    return {
        "ref": data.ref, "kind": kind, "name": name, "version": version, "state": State.DRAFT.value,
        **_described(data.metadata),
        "digest": data.digest, "files": len(data.files), "scans": {}, "scan_verdict": None,
        "evaluations": {}, "evaluations_passed": 0, "evaluations_failed": 0,
        "vulnerabilities": {}, "open_critical": 0, "open_high": 0,
        "sbom_present": False, "sbom_matched": None, "provenance_verified": None,
        "last_promotion": None, "last_promotion_outcome": None,
        "approvals": [], "deployments": [], "clocks": [], "replacement": None,
        "registered_by": data.registered_by, "registered_at": at,
    }  # fmt: skip


def _described(metadata: Metadata) -> Row:
    return {
        "owner": metadata.owner,
        "backup_owner": metadata.backup_owner,
        "risk_tier": metadata.risk_tier,
        "purpose": metadata.purpose,
    }


def _checks(row: Row, data: Event) -> Row:
    match data:
        case EvidenceAttached(evidence_type=EvidenceType.SBOM):
            return {"sbom_present": True, "sbom_matched": None}
        case EvidenceAttached(evidence_type=EvidenceType.PROVENANCE):
            return {"provenance_verified": None}
        case ArtifactScanned():
            verdict = "review" if data.verdict == "clean" and not data.read_completely else data.verdict
            scans = {**row["scans"], data.file: verdict}
            return {"scans": scans, "scan_verdict": scan_verdict(scans, row["files"])}
        case DependenciesScanned():
            return {"sbom_matched": data.problem is None}
        case ProvenanceVerified():
            return {"provenance_verified": data.verified}
        case EvaluationAssessed():
            return _evaluations({**row["evaluations"], data.suite: data.passed})
        case VulnerabilityFound():
            return _vulnerabilities({**row["vulnerabilities"], _vulnerability(data): data.severity.value})
        case VulnerabilityResolved():
            gone = _vulnerability(data)
            return _vulnerabilities({name: s for name, s in row["vulnerabilities"].items() if name != gone})
        case _:
            return {}


def scan_verdict(scans: Mapping[str, str], files: int) -> str | None:
    """The worst verdict; clean only when every file of the version was read whole. None: not all scanned yet."""
    worst = {"malicious", "review"}.intersection(scans.values())
    if worst:
        return min(worst)
    return "clean" if scans and len(scans) >= files else None


def _evaluations(suites: dict[str, bool]) -> Row:
    passed = sum(suites.values())
    return {"evaluations": suites, "evaluations_passed": passed, "evaluations_failed": len(suites) - passed}


def _vulnerability(data: VulnerabilityFound | VulnerabilityResolved) -> str:
    return f"{data.advisory} {data.component}"


def _vulnerabilities(found: dict[str, str]) -> Row:
    severities = list(found.values())
    return {
        "vulnerabilities": found,
        "open_critical": severities.count("critical"),
        "open_high": severities.count("high"),
    }


def _process(row: Row, data: Event) -> Row:
    match data:
        case MetadataAmended(metadata=metadata):
            return _described(metadata)
        case PromotionOpened(promotion=promotion):
            return {"last_promotion": promotion, "last_promotion_outcome": "open"}
        case PromotionClosed():
            return {"last_promotion": data.promotion, "last_promotion_outcome": data.outcome}
        case DeploymentProvisioned():
            return {"deployments": [*row["deployments"], _deployment(data)]}
        case _:
            return {}


def _lifecycle(row: Row, data: Event) -> Row:
    match data:
        case VersionApproved():
            return {"approvals": [*_without(row["approvals"], "promotion", data.promotion), _approval(data)]}
        case ApprovalExpired(promotion=promotion) | ApprovalVoided(promotion=promotion):
            return {"approvals": _without(row["approvals"], "promotion", promotion)}
        case VersionDeprecated(replacement=replacement):
            return {"replacement": replacement}
        case RemediationClockStarted():
            return {"clocks": [*_without(row["clocks"], "finding", data.finding), _clock(data)]}
        case RemediationClockStopped(finding=finding):
            return {"clocks": _without(row["clocks"], "finding", finding)}
        case _:
            return {}


def _without(items: Iterable[dict[str, Any]], name: str, value: str) -> list[dict[str, Any]]:
    return [item for item in items if item[name] != value]


def _approval(data: VersionApproved) -> Row:
    return {
        "promotion": data.promotion,
        "context": str(data.context),
        "environment": data.environment,
        "expires_at": data.expires_at.isoformat(),
    }


def _clock(data: RemediationClockStarted) -> Row:
    return {
        "finding": data.finding, "owner": data.owner, "due": data.due.isoformat(), "escalate_to": data.escalate_to,
    }  # fmt: skip


def _deployment(data: DeploymentProvisioned) -> Row:
    return {
        "environment": data.environment, "target": data.target, "location": data.location, "promotion": data.promotion,
    }  # fmt: skip


VERSION_OVERVIEW = Projection("version_overview", 1, COLUMNS, keys, evolve)
