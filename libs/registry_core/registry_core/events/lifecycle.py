"""States, clocks, exceptions and deployments of a version. Stream: the version's reference."""

from datetime import datetime

from registry_core.events.base import Event
from registry_core.values import Account, Digest, Ref, UseContext


class VersionBecameCandidate(Event, type="io.hallmark.lifecycle.became-candidate.v1", family="lifecycle"):
    ref: Ref
    promotion: str


class VersionReturnedToDraft(Event, type="io.hallmark.lifecycle.returned-to-draft.v1", family="lifecycle"):
    ref: Ref
    cause: str


class VersionApproved(Event, type="io.hallmark.lifecycle.approved.v1", family="lifecycle"):
    """Approved for one use context in one environment, until an hour."""

    ref: Ref
    promotion: str
    context: UseContext
    environment: str
    expires_at: datetime
    decision_digest: Digest


class ApprovalExpired(Event, type="io.hallmark.lifecycle.approval-expired.v1", family="lifecycle"):
    ref: Ref
    promotion: str
    context: UseContext
    expired_at: datetime


class ApprovalVoided(Event, type="io.hallmark.lifecycle.approval-voided.v1", family="lifecycle"):
    """Content, prompt or evidence changed under the approval."""

    ref: Ref
    promotion: str
    cause: str


class VersionDeprecated(Event, type="io.hallmark.lifecycle.deprecated.v1", family="lifecycle"):
    ref: Ref
    replacement: Ref | None = None
    cause: str


class VersionRetired(Event, type="io.hallmark.lifecycle.retired.v1", family="lifecycle"):
    ref: Ref
    cause: str


class VersionSuspended(Event, type="io.hallmark.lifecycle.suspended.v1", family="lifecycle"):
    ref: Ref
    cause: str


class VersionReinstated(Event, type="io.hallmark.lifecycle.reinstated.v1", family="lifecycle"):
    ref: Ref
    cause: str


class RemediationClockStarted(Event, type="io.hallmark.lifecycle.remediation-clock-started.v1", family="lifecycle"):
    """A finding on a version in service: it keeps serving, and somebody has until `due`."""

    ref: Ref
    finding: str
    owner: str
    due: datetime
    escalate_to: str


class RemediationClockStopped(Event, type="io.hallmark.lifecycle.remediation-clock-stopped.v1", family="lifecycle"):
    ref: Ref
    finding: str
    cause: str


class OwnerWarned(Event, type="io.hallmark.lifecycle.owner-warned.v1", family="lifecycle"):
    """The scheduler told the owner before it acts."""

    ref: Ref
    subject: str
    owner: str
    acts_at: datetime


class DeploymentProvisioned(Event, type="io.hallmark.lifecycle.deployment-provisioned.v1", family="lifecycle"):
    ref: Ref
    promotion: str
    environment: str
    target: str
    location: str
    manifest_digest: Digest


class ProvisioningFailed(Event, type="io.hallmark.lifecycle.provisioning-failed.v1", family="lifecycle"):
    ref: Ref
    promotion: str
    target: str
    reason: str


class ExceptionRequested(Event, type="io.hallmark.exception.requested.v1", family="lifecycle"):
    """Scoped to one rule (and finding, if named) of one version."""

    ref: Ref
    exception: str
    rule: str
    finding: str | None = None
    reason: str
    requested_by: Account
    expires_at: datetime


class ExceptionGranted(Event, type="io.hallmark.exception.granted.v1", family="lifecycle"):
    ref: Ref
    exception: str
    granted_by: Account
    person: str


class ExceptionExpired(Event, type="io.hallmark.exception.expired.v1", family="lifecycle"):
    ref: Ref
    exception: str
