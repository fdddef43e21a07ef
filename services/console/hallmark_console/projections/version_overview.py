"""`version_overview`: the portfolio, one row per version."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from registry_core.events import Event, event_types
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
from registry_core.projections import Entry, Projection, Row, types_of
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


def keys(event: Entry) -> Iterable[str]:
    ref = version_of(event)
    return (ref,) if ref else ()


def evolve(row: Row | None, event: Entry) -> Row | None:
    """The version's row after one more event of its stream. One that changes no column still moves `updated_at`."""
    data = data_of(event)
    at = event.recorded_at.isoformat()
    if isinstance(data, VersionRegistered):
        return {**(row or {}), **_registered(data, at), "updated_at": at}
    if row is None or data is None:
        return None
    change = _CHANGES.get(type(data))
    return {**row, **(change(row, data) if change else {}), "updated_at": at}


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


def _attached(_row: Row, data: EvidenceAttached) -> Row:
    match data.evidence_type:
        case EvidenceType.SBOM:
            return {"sbom_present": True, "sbom_matched": None}
        case EvidenceType.PROVENANCE:
            return {"provenance_verified": None}
        case _:
            return {}


def _scanned(row: Row, data: ArtifactScanned) -> Row:
    verdict = "review" if data.verdict == "clean" and not data.read_completely else data.verdict
    scans = {**row["scans"], data.file: verdict}
    return {"scans": scans, "scan_verdict": scan_verdict(scans, row["files"])}


def scan_verdict(scans: Mapping[str, str], files: int) -> str | None:
    """The worst verdict; clean only when every file of the version was read whole. None: not all scanned yet."""
    worst = {"malicious", "review"}.intersection(scans.values())
    if worst:
        return min(worst)
    return "clean" if scans and len(scans) >= files else None


def _assessed(row: Row, data: EvaluationAssessed) -> Row:
    suites = {**row["evaluations"], data.suite: data.passed}
    passed = sum(suites.values())
    return {"evaluations": suites, "evaluations_passed": passed, "evaluations_failed": len(suites) - passed}


def _vulnerability(data: VulnerabilityFound | VulnerabilityResolved) -> str:
    return f"{data.advisory} {data.component}"


def _found(row: Row, data: VulnerabilityFound) -> Row:
    return _vulnerabilities({**row["vulnerabilities"], _vulnerability(data): data.severity.value})


def _resolved(row: Row, data: VulnerabilityResolved) -> Row:
    gone = _vulnerability(data)
    return _vulnerabilities({name: s for name, s in row["vulnerabilities"].items() if name != gone})


def _vulnerabilities(found: dict[str, str]) -> Row:
    severities = list(found.values())
    return {
        "vulnerabilities": found,
        "open_critical": severities.count("critical"),
        "open_high": severities.count("high"),
    }


def _approved(row: Row, data: VersionApproved) -> Row:
    others = _without(row["approvals"], "promotion", data.promotion)
    return {"state": State.APPROVED.value, "approvals": [*others, _approval(data)]}


def _ended(row: Row, data: ApprovalExpired | ApprovalVoided) -> Row:
    return {"approvals": _without(row["approvals"], "promotion", data.promotion)}


def _clock_started(row: Row, data: RemediationClockStarted) -> Row:
    return {"clocks": [*_without(row["clocks"], "finding", data.finding), _clock(data)]}


def _clock_stopped(row: Row, data: RemediationClockStopped) -> Row:
    return {"clocks": _without(row["clocks"], "finding", data.finding)}


def _to(state: State) -> Callable[[Row, Event], Row]:
    return lambda _row, _data: {"state": state.value}


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


_CHANGES: Final[Mapping[type[Event], Callable[[Row, Any], Row]]] = {
    MetadataAmended: lambda _, data: _described(data.metadata),
    EvidenceAttached: _attached,
    ArtifactScanned: _scanned,
    DependenciesScanned: lambda _, data: {"sbom_matched": data.problem is None},
    ProvenanceVerified: lambda _, data: {"provenance_verified": data.verified},
    EvaluationAssessed: _assessed,
    VulnerabilityFound: _found,
    VulnerabilityResolved: _resolved,
    PromotionOpened: lambda _, data: {"last_promotion": data.promotion, "last_promotion_outcome": "open"},
    PromotionClosed: lambda _, data: {"last_promotion": data.promotion, "last_promotion_outcome": data.outcome},
    DeploymentProvisioned: lambda row, data: {"deployments": [*row["deployments"], _deployment(data)]},
    VersionApproved: _approved,
    ApprovalExpired: _ended,
    ApprovalVoided: _ended,
    RemediationClockStarted: _clock_started,
    RemediationClockStopped: _clock_stopped,
    VersionBecameCandidate: _to(State.CANDIDATE),
    VersionReturnedToDraft: _to(State.DRAFT),
    VersionDeprecated: lambda _, data: {"state": State.DEPRECATED.value, "replacement": data.replacement},
    VersionRetired: _to(State.RETIRED),
    VersionSuspended: _to(State.SUSPENDED),
    VersionReinstated: _to(State.APPROVED),
}
"""By type, not by `match`: a replay asks millions of times, and `isinstance` of a pydantic model is slow."""
_FAMILIES: Final = frozenset({"versions", "evidence", "lifecycle"})
_OF_VERSIONS: Final = [event for event in event_types().values() if event.family in _FAMILIES]

VERSION_OVERVIEW = Projection(
    "version_overview", 1, COLUMNS, keys, evolve,
    types=types_of(*_OF_VERSIONS, PromotionOpened, PromotionClosed),
)  # fmt: skip
