"""The state of one version, folded from its own stream: what every service decides on.

Deciding on the stream itself, never on a read model, is what keeps decisions right while views lag.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

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
    ExceptionExpired,
    ExceptionGranted,
    ExceptionRequested,
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
from registry_core.events.versions import ArtifactStored, DependencyChanged, MetadataAmended, VersionRegistered
from registry_core.values import EvidenceType, File, Metadata, State, UseContext

TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.DRAFT: frozenset({State.CANDIDATE, State.RETIRED}),
    State.CANDIDATE: frozenset({State.DRAFT, State.APPROVED, State.RETIRED, State.SUSPENDED}),
    State.APPROVED: frozenset({State.DEPRECATED, State.SUSPENDED}),
    State.DEPRECATED: frozenset({State.RETIRED, State.SUSPENDED}),
    State.SUSPENDED: frozenset({State.APPROVED, State.DEPRECATED, State.RETIRED}),
    State.RETIRED: frozenset(),
}
"""Mission F1. A version approved for one context may be approved for another: APPROVED then stays."""


class IllegalTransitionError(ValueError):
    """A change of state that the lifecycle does not know."""

    def __init__(self, ref: str, state: State | None, to: State) -> None:
        allowed = ", ".join(sorted(TRANSITIONS[state])) if state and TRANSITIONS[state] else "nothing"
        super().__init__(f"{ref} is {state or 'unknown'} and cannot become {to}; from here it can become: {allowed}")


@dataclass(frozen=True, slots=True)
class Approval:
    promotion: str
    context: UseContext
    environment: str
    expires_at: datetime
    decision_digest: str
    ended: str | None = None
    """Why it holds no longer: `expired` or the cause that voided it."""

    def in_force(self, at: datetime) -> bool:
        return self.ended is None and at < self.expires_at


@dataclass(frozen=True, slots=True)
class RuleException:
    """A granted or requested departure from one rule."""

    exception: str
    rule: str
    finding: str | None
    reason: str
    requested_by: str
    expires_at: datetime
    granted_by: str | None = None
    expired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Folded state. `version` is the stream's version, -1 before registration."""

    version: int = -1
    ref: str = ""
    digest: str = ""
    files: tuple[File, ...] = ()
    format: str | None = None
    metadata: Metadata = field(default_factory=Metadata)
    registered_by: str = ""
    state: State | None = None
    replacement: str | None = None
    stored: Mapping[str, str] = field(default_factory=dict)
    """Storage URI by file name, for files whose digest was verified while they came in."""
    uploaded_by: frozenset[str] = frozenset()
    amended_by: frozenset[str] = frozenset()
    evidence: tuple[EvidenceAttached, ...] = ()
    scans: Mapping[str, ArtifactScanned] = field(default_factory=dict)
    """Newest scan by file name."""
    dependencies: DependenciesScanned | None = None
    provenance: ProvenanceVerified | None = None
    evaluations: Mapping[str, EvaluationAssessed] = field(default_factory=dict)
    """Newest by suite."""
    vulnerabilities: Mapping[tuple[str, str], VulnerabilityFound] = field(default_factory=dict)
    """Open ones, by advisory and component."""
    changed_dependencies: tuple[tuple[datetime, DependencyChanged], ...] = ()
    """With the time each change was recorded."""
    open_promotions: frozenset[str] = frozenset()
    approvals: tuple[Approval, ...] = ()
    exceptions: Mapping[str, RuleException] = field(default_factory=dict)
    clocks: Mapping[str, RemediationClockStarted] = field(default_factory=dict)
    """Running remediation clocks by finding."""
    deployments: tuple[DeploymentProvisioned, ...] = ()

    def evolve(self, event: RecordedEvent) -> "Version":
        evolved = replace(_evolve(self, event.data, event.recorded_at), version=event.version)
        if event.model is ArtifactStored:
            return replace(evolved, uploaded_by=self.uploaded_by | {event.actor})
        if event.model is MetadataAmended:
            return replace(evolved, amended_by=self.amended_by | {event.actor})
        return evolved

    @property
    def exists(self) -> bool:
        return self.state is not None

    def of_type(self, evidence_type: EvidenceType) -> list[EvidenceAttached]:
        """Evidence of one type, oldest first."""
        return [item for item in self.evidence if item.evidence_type == evidence_type]

    def check_transition(self, to: State) -> None:
        """Raises IllegalTransitionError."""
        again = self.state == to == State.APPROVED
        if self.state is None or not (again or to in TRANSITIONS[self.state]):
            raise IllegalTransitionError(self.ref, self.state, to)

    def pending_checks(self) -> list[str]:
        """Checks whose input is there and whose outcome is not: a decision has to wait for them."""
        scanned = self.scans.keys()
        pending = [f"scan of {name}" for name in self.stored if name not in scanned]
        sboms, statements = self.of_type(EvidenceType.SBOM), self.of_type(EvidenceType.PROVENANCE)
        if sboms and (self.dependencies is None or self.dependencies.sbom_digest != sboms[-1].digest):
            pending.append("matching of the SBOM")
        if statements and (self.provenance is None or self.provenance.evidence_digest != statements[-1].digest):
            pending.append("verification of the provenance")
        assessed = {item.evidence_digest for item in self.evaluations.values()}
        newest = self.of_type(EvidenceType.EVALUATION)[-1:]
        return pending + [f"assessment of {item.digest}" for item in newest if item.digest not in assessed]

    def active_approvals(self, now: datetime) -> list[Approval]:
        return [item for item in self.approvals if item.in_force(now)]


def _evolve(v: Version, data: Event, recorded_at: datetime) -> Version:
    match data:
        case VersionRegistered():
            return replace(
                v, ref=data.ref, digest=data.digest, files=data.files, format=data.format, metadata=data.metadata,
                registered_by=data.registered_by, state=State.DRAFT,
            )  # fmt: skip
        case MetadataAmended(metadata=metadata):
            return replace(v, metadata=metadata)
        case ArtifactStored(file=file, uri=uri):
            return replace(v, stored={**v.stored, file.name: uri})
        case DependencyChanged():
            return replace(v, changed_dependencies=(*v.changed_dependencies, (recorded_at, data)))
        case PromotionOpened(promotion=promotion):
            return replace(v, open_promotions=v.open_promotions | {promotion})
        case PromotionClosed(promotion=promotion):
            return replace(v, open_promotions=v.open_promotions - {promotion})
        case _:
            return _evolve_checks(v, data)


def _evolve_checks(v: Version, data: Event) -> Version:
    match data:
        case EvidenceAttached():
            return replace(v, evidence=(*v.evidence, data))
        case ArtifactScanned():
            return replace(v, scans={**v.scans, data.file: data})
        case DependenciesScanned():
            return replace(v, dependencies=data)
        case ProvenanceVerified():
            return replace(v, provenance=data)
        case EvaluationAssessed():
            return replace(v, evaluations={**v.evaluations, data.suite: data})
        case VulnerabilityFound():
            return replace(v, vulnerabilities={**v.vulnerabilities, (data.advisory, data.component): data})
        case VulnerabilityResolved():
            gone = (data.advisory, data.component)
            return replace(v, vulnerabilities={k: f for k, f in v.vulnerabilities.items() if k != gone})
        case _:
            return _evolve_lifecycle(v, data)


_STATES: Final[Mapping[type[Event], State]] = {
    VersionBecameCandidate: State.CANDIDATE,
    VersionReturnedToDraft: State.DRAFT,
    VersionApproved: State.APPROVED,
    VersionDeprecated: State.DEPRECATED,
    VersionRetired: State.RETIRED,
    VersionSuspended: State.SUSPENDED,
    VersionReinstated: State.APPROVED,
}


def _evolve_lifecycle(v: Version, data: Event) -> Version:
    v = replace(v, state=_STATES.get(type(data), v.state))
    match data:
        case VersionApproved():
            approval = Approval(data.promotion, data.context, data.environment, data.expires_at, data.decision_digest)
            return replace(v, approvals=(*v.approvals, approval))
        case ApprovalExpired(promotion=promotion):
            return replace(v, approvals=_ended(v.approvals, promotion, "expired"))
        case ApprovalVoided(promotion=promotion, cause=cause):
            return replace(v, approvals=_ended(v.approvals, promotion, cause))
        case VersionDeprecated(replacement=replacement):
            return replace(v, replacement=replacement)
        case RemediationClockStarted():
            return replace(v, clocks={**v.clocks, data.finding: data})
        case RemediationClockStopped(finding=finding):
            return replace(v, clocks={k: c for k, c in v.clocks.items() if k != finding})
        case DeploymentProvisioned():
            return replace(v, deployments=(*v.deployments, data))
        case ExceptionRequested() | ExceptionGranted() | ExceptionExpired():
            return replace(v, exceptions=_exceptions(v.exceptions, data))
        case _:
            return v


def _ended(approvals: tuple[Approval, ...], promotion: str, cause: str) -> tuple[Approval, ...]:
    return tuple(replace(a, ended=cause) if a.promotion == promotion else a for a in approvals)


def _exceptions(
    known: Mapping[str, RuleException], data: ExceptionRequested | ExceptionGranted | ExceptionExpired
) -> Mapping[str, RuleException]:
    match data:
        case ExceptionRequested():
            made = RuleException(
                data.exception, data.rule, data.finding, data.reason, data.requested_by, data.expires_at
            )
        case _ if data.exception not in known:  # asked for later than granted: possible as of a time, by skewed clocks
            return known
        case ExceptionGranted():
            made = replace(known[data.exception], granted_by=data.granted_by)
        case ExceptionExpired():
            made = replace(known[data.exception], expired=True)
    return {**known, made.exception: made}
