"""What follows from events of other services, and the job that provisions."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from registry_core.events import Event, RecordedEvent
from registry_core.events.evidence import (
    ArtifactScanned,
    EvaluationAssessed,
    EvidenceAttached,
    VulnerabilityFound,
    VulnerabilityResolved,
)
from registry_core.events.lifecycle import DeploymentProvisioned, ProvisioningFailed, VersionApproved
from registry_core.events.versions import DependencyChanged, MetadataAmended
from registry_core.handlers import Effect, Emit, Handlers, Reader, StartJob, fold, load
from registry_core.messaging.jobs import JobFunction
from registry_core.values import Kind, State, parse_ref
from registry_core.version import Approval, Version

from hallmark_lifecycle.manifest import Manifest, NotDeployableError, inference_service
from hallmark_lifecycle.remediation import clock_changes
from hallmark_lifecycle.voiding import cause_of, void_approvals

PROVISION: Final = "provision"


class Target(Protocol):
    """Where deployments are asked for."""

    @property
    def name(self) -> str: ...

    async def apply(self, manifest: Manifest) -> str:
        """Ask for this deployment, again if need be; where it was asked for. Raises OSError."""
        ...


async def start_provisioning(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
    """An approved model is to be deployed; other kinds serve only as part of one."""
    data = event.data
    assert isinstance(data, VersionApproved)
    if parse_ref(data.ref).kind != Kind.MODEL:
        return []
    return [StartJob(PROVISION, {"ref": data.ref, "promotion": data.promotion}, priority=10)]


async def set_clocks(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
    """A finding came, went, or met a new deployment: remediation clocks start and stop."""
    version = await load(reader, Version(), event.stream)
    reason = event.data.reason if isinstance(event.data, VulnerabilityResolved) else "no longer critical"
    return _emit(version, clock_changes(version, now=reader.now, cause=reason))


async def end_approvals(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
    """What an approval rests on has changed."""
    (events,) = await reader.read(event.stream)
    before = fold(Version(), (e for e in events if e.version < event.version))
    cause = cause_of(event.data, before)
    if cause is None:
        return []
    then = before.evolve(event)
    version = fold(then, (e for e in events if e.version > event.version))
    return _emit(version, void_approvals(version, then=then, cause=cause))


HANDLERS: Final[Handlers] = {
    VersionApproved: start_provisioning,
    VulnerabilityFound: set_clocks,
    VulnerabilityResolved: set_clocks,
    DeploymentProvisioned: set_clocks,
    EvaluationAssessed: end_approvals,
    ArtifactScanned: end_approvals,
    DependencyChanged: end_approvals,
    EvidenceAttached: end_approvals,
    MetadataAmended: end_approvals,
}


def _emit(version: Version, events: Sequence[Event]) -> Sequence[Effect]:
    return [Emit(version.ref, events, expected=version.version)] if events else []


def provisioning(target: Target) -> JobFunction:
    """The job that turns an approval into a deployment."""

    async def provision(payload: Mapping[str, Any], reader: Reader) -> Sequence[Effect]:
        version = await load(reader, Version(), payload["ref"])
        if any(deployment.promotion == payload["promotion"] for deployment in version.deployments):
            return []
        return _emit(version, [await _provision(version, payload["promotion"], target, reader)])

    return provision


async def _provision(version: Version, promotion: str, target: Target, reader: Reader) -> Event:
    approval = next(a for a in version.approvals if a.promotion == promotion)
    try:
        _check_in_force(version, approval, reader)
        manifest = inference_service(version, approval)
        location = await target.apply(manifest)
    except (NotDeployableError, OSError) as error:
        fix = "; mend the target and request a new promotion" if isinstance(error, OSError) else ""
        return ProvisioningFailed(ref=version.ref, promotion=promotion, target=target.name, reason=f"{error}{fix}")
    return DeploymentProvisioned(
        ref=version.ref,
        promotion=promotion,
        environment=approval.environment,
        target=target.name,
        location=location,
        manifest_digest=manifest.digest,
    )


def _check_in_force(version: Version, approval: Approval, reader: Reader) -> None:
    if version.state != State.APPROVED:
        raise NotDeployableError(f"{version.ref} is {version.state} by now; it takes no new deployment")
    if approval not in version.active_approvals(reader.now):
        ended = approval.ended or f"expired at {approval.expires_at.isoformat()}"
        raise NotDeployableError(f"approval {approval.promotion} ended: {ended}; request a new promotion")
