"""Histories of one version, for given / when / then."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from hallmark_lifecycle.admission import Admission, Question, admit
from hallmark_lifecycle.state import Lifecycle
from registry_core.events import Event, RecordedEvent
from registry_core.events.evidence import VulnerabilityFound, VulnerabilityResolved
from registry_core.events.lifecycle import DeploymentProvisioned, VersionApproved
from registry_core.events.versions import ArtifactStored, VersionRegistered
from registry_core.handlers import fold
from registry_core.values import File, Metadata, Severity, UseContext, sha256_digest
from registry_core.version import Version
from support import NOW

REF = "model:credit-risk@1.0.0"
DIGEST = sha256_digest(b"weights")
CREDIT = UseContext(business_function="credit-scoring", data_class="personal", region="eu")
OWNED = Metadata(owner="alice", backup_owner="bea", escalation="risk-office")
DAY = timedelta(days=1)
EXPIRES = NOW + 90 * DAY


def registered(metadata: Metadata = OWNED, ref: str = REF) -> VersionRegistered:
    file = File(name="model.skops", digest=DIGEST)
    return VersionRegistered(
        ref=ref, digest=DIGEST, files=(file,), format="skops", metadata=metadata, registered_by="ci"
    )


def stored() -> ArtifactStored:
    return ArtifactStored(ref=REF, file=File(name="model.skops", digest=DIGEST), uri="s3://bucket/sha256/ab/abc")


def approved(
    promotion: str = "p1",
    *,
    context: UseContext = CREDIT,
    environment: str = "production",
    expires_at: datetime = EXPIRES,
    ref: str = REF,
) -> VersionApproved:
    return VersionApproved(
        ref=ref, promotion=promotion, context=context, environment=environment, expires_at=expires_at,
        decision_digest=DIGEST,
    )  # fmt: skip


def deployed(promotion: str = "p1") -> DeploymentProvisioned:
    return DeploymentProvisioned(
        ref=REF, promotion=promotion, environment="production", target="kserve", location="production/x.yaml",
        manifest_digest=DIGEST,
    )  # fmt: skip


def vulnerable(advisory: str = "CVE-1", component: str = "pkg:pypi/a@1", severity: Severity = Severity.CRITICAL):
    return VulnerabilityFound(ref=REF, advisory=advisory, component=component, severity=severity)


def resolved(advisory: str = "CVE-1", component: str = "pkg:pypi/a@1") -> VulnerabilityResolved:
    return VulnerabilityResolved(ref=REF, advisory=advisory, component=component, reason="rebuilt without it")


def recorded(events: Sequence[Event], first: int = 0, at: datetime = NOW) -> list[RecordedEvent]:
    """As on the version's stream, all at the same time."""
    return [
        RecordedEvent(
            id=uuid4(), stream=REF, version=version, type=data.type, body=data.encode(),
            body_sha256=hashlib.sha256(data.encode()).digest(), actor="alice", occurred_at=at, recorded_at=at,
            correlation_id=uuid4(),
        )
        for version, data in enumerate(events, first)
    ]  # fmt: skip


def lifecycle(*events: Event) -> Lifecycle:
    return fold(Lifecycle(), recorded(events))


def version(*events: Event) -> Version:
    return lifecycle(*events).of


def then(state: Lifecycle, events: Sequence[Event]) -> Lifecycle:
    """After these further events."""
    return fold(state, recorded(events, state.version + 1))


def asked(
    state: Version,
    at: datetime = NOW,
    *,
    context: UseContext = CREDIT,
    environment: str = "production",
    new_use: bool = True,
) -> Admission:
    return admit(state, Question(ref=REF, context=context, environment=environment, at=at, new_use=new_use))


def rules(admission: Admission) -> list[str]:
    return [reason.rule for reason in admission.reasons]
