"""`findings`: what checks found in a version, open or resolved, with the clock that runs on it."""

from collections.abc import Iterable
from typing import Any, Final

from registry_core.events import Event
from registry_core.events.evidence import ArtifactScanned, Finding, VulnerabilityFound, VulnerabilityResolved
from registry_core.events.lifecycle import RemediationClockStarted, RemediationClockStopped
from registry_core.projections import Entry, Projection, Row, types_of
from registry_core.values import Severity

from hallmark_console.projections.rows import data_of, row_key

COLUMNS = """
    ref text,
    kind text,
    finding text,
    severity text,
    score double precision,
    component text,
    components jsonb,
    summary text,
    fixed_in text,
    fix text,
    open boolean,
    found_at timestamptz,
    resolved_at timestamptz,
    resolution text,
    clock_owner text,
    clock_due timestamptz,
    clock_escalate_to text,
    details jsonb"""

_ORDER: Final = (
    Severity.NONE, Severity.LOW, Severity.MEDIUM, Severity.UNKNOWN, Severity.HIGH, Severity.CRITICAL,
)  # fmt: skip
"""Unknown stands above medium: nobody has said yet that it may wait."""
_NO_CLOCK: Final[Row] = {"clock_owner": None, "clock_due": None, "clock_escalate_to": None}
_NOTHING: Final[Row] = {
    "severity": Severity.UNKNOWN.value, "score": None, "component": None, "components": [], "summary": "",
    "fixed_in": None, "fix": "", "open": True, "found_at": None, "resolved_at": None, "resolution": None,
    **_NO_CLOCK, "details": [],
}  # fmt: skip


def keys(event: Entry) -> Iterable[str]:
    match data_of(event):
        case VulnerabilityFound() | VulnerabilityResolved() as data:
            return (row_key(data.ref, data.advisory),)
        case RemediationClockStarted() | RemediationClockStopped() as clock:
            return (row_key(clock.ref, clock.finding),)
        case ArtifactScanned() as scan:
            return (row_key(scan.ref, "file", scan.file),)
        case _:
            return ()


def evolve(row: Row | None, event: Entry) -> Row | None:
    """The finding's row after one more event about it."""
    data = data_of(event)
    changes = _changes(row, data, event.recorded_at.isoformat()) if data else None
    return None if changes is None else {**(row or _NOTHING), **changes}


def _changes(row: Row | None, data: Event, at: str) -> Row | None:
    match data:
        case VulnerabilityFound():
            return _found(row or {}, data, at)
        case VulnerabilityResolved():
            return _resolved(row, data, at) if row else None
        case ArtifactScanned():
            return _scanned(row, data, at)
        case RemediationClockStarted():
            return _clock_started(row, data, at)
        case RemediationClockStopped(cause=cause):
            return _clock_stopped(row, cause, at) if row else None
        case _:
            return None


def _found(row: Row, data: VulnerabilityFound, at: str) -> Row:
    components = {**dict.fromkeys(row.get("components", [])), data.component: None}
    return {
        "ref": data.ref, "kind": "vulnerability", "finding": data.advisory, "severity": data.severity.value,
        "score": data.score, "component": ", ".join(components), "components": list(components),
        "summary": data.summary, "fixed_in": data.fixed_in, "open": True,
        "fix": f"update to {data.fixed_in}" if data.fixed_in else "", "resolved_at": None, "resolution": None,
        "found_at": row["found_at"] if row.get("open") else at,
        "details": [{"aliases": list(data.aliases)}],
    }  # fmt: skip


def _resolved(row: Row, data: VulnerabilityResolved, at: str) -> Row:
    left = [component for component in row["components"] if component != data.component]
    if left:
        return {"components": left, "component": ", ".join(left)}
    return {"components": left, "open": False, "resolved_at": at, "resolution": data.reason, **_NO_CLOCK}


def _scanned(row: Row | None, data: ArtifactScanned, at: str) -> Row | None:
    if data.verdict == "clean" and data.read_completely:
        return {"open": False, "resolved_at": at, "resolution": "scanned again: clean"} if row and row["open"] else None
    worst = max((f.severity for f in data.findings), key=_ORDER.index, default=Severity.UNKNOWN)
    return {
        "ref": data.ref, "kind": "scan", "finding": data.file, "severity": _severity(data, worst).value,
        "component": data.file, "components": [data.file], "summary": _summary(data),
        "fix": next((f.fix for f in data.findings), "have a security reviewer look at the file"),
        "open": True, "resolved_at": None, "resolution": None,
        "found_at": row["found_at"] if row and row["open"] else at,
        "details": [_detail(finding) for finding in data.findings],
    }  # fmt: skip


def _severity(data: ArtifactScanned, worst: Severity) -> Severity:
    return Severity.CRITICAL if data.verdict == "malicious" else worst


def _summary(data: ArtifactScanned) -> str:
    part = "" if data.read_completely else ", not read completely"
    seen = "; ".join(finding.message for finding in data.findings[:3])
    return f"{data.verdict}{part}{': ' if seen else ''}{seen}"


def _detail(finding: Finding) -> dict[str, Any]:
    return finding.model_dump(mode="json")


def _clock_started(row: Row | None, data: RemediationClockStarted, at: str) -> Row:
    clock = {
        "clock_owner": data.owner, "clock_due": data.due.isoformat(), "clock_escalate_to": data.escalate_to,
    }  # fmt: skip
    about = {} if row else {"ref": data.ref, "kind": "remediation", "finding": data.finding, "found_at": at}
    return {**about, **clock, **({"open": True} if not row or row["kind"] == "remediation" else {})}


def _clock_stopped(row: Row, cause: str, at: str) -> Row:
    if row["kind"] != "remediation":
        return dict(_NO_CLOCK)
    return {**_NO_CLOCK, "open": False, "resolved_at": at, "resolution": cause}


_CONCERNED: Final = (
    VulnerabilityFound, VulnerabilityResolved, ArtifactScanned, RemediationClockStarted, RemediationClockStopped,
)  # fmt: skip

FINDINGS = Projection(
    "findings", 1, COLUMNS, keys, evolve,
    types=types_of(*_CONCERNED), indexes={"by_ref": "ref"},
)  # fmt: skip
