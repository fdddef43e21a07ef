"""Evidence and what checks made of it. Stream: the version's reference."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from registry_core.events.base import Event
from registry_core.values import Account, Digest, EvidenceType, Ref, Severity, Value

Verdict = Literal["clean", "review", "malicious"]


class EvidenceAttached(Event, type="io.hallmark.evidence.attached.v1", family="evidence"):
    """A document about the version, kept by digest in the artifact store."""

    ref: Ref
    evidence_type: EvidenceType
    digest: Digest
    media_type: str
    size: int
    subject_digest: Digest
    """The version's checksum at the time."""
    attached_by: Account


class Finding(Value):
    """One thing a scan saw."""

    rule: str
    severity: Severity
    location: str
    message: str
    fix: str


class ArtifactScanned(Event, type="io.hallmark.evidence.artifact-scanned.v1", family="evidence"):
    ref: Ref
    file: str
    digest: Digest
    scanner: str
    verdict: Verdict
    read_completely: bool
    findings: tuple[Finding, ...] = ()
    isolation: tuple[str, ...] = ()
    """What kept the scanning process apart, and what did not hold on that machine."""


class DependenciesScanned(Event, type="io.hallmark.evidence.dependencies-scanned.v1", family="evidence"):
    """An SBOM was read and matched; what it found are `VulnerabilityFound` events."""

    ref: Ref
    sbom_digest: Digest
    format: str
    components: int
    vulnerable: int
    problem: str | None = None
    """Why the SBOM could not be used, if so."""


class VulnerabilityFound(Event, type="io.hallmark.evidence.vulnerability-found.v1", family="evidence"):
    ref: Ref
    advisory: str
    aliases: tuple[str, ...] = ()
    component: str
    """purl with version."""
    severity: Severity
    score: float | None = None
    summary: str = ""
    fixed_in: str | None = None


class VulnerabilityResolved(Event, type="io.hallmark.evidence.vulnerability-resolved.v1", family="evidence"):
    ref: Ref
    advisory: str
    component: str
    reason: str


class ProvenanceVerified(Event, type="io.hallmark.evidence.provenance-verified.v1", family="evidence"):
    """The outcome of checking a provenance statement: `verified` only if signature, key, type and subject all hold."""

    ref: Ref
    evidence_digest: Digest
    verified: bool
    builder: str | None = None
    key_id: str | None = None
    problem: str | None = None


class MetricResult(Value):
    metric: str
    value: float | None = None
    threshold: float
    direction: Literal["at_least", "at_most"]
    passed: bool


class EvaluationAssessed(Event, type="io.hallmark.evidence.evaluation-assessed.v1", family="evidence"):
    """An evaluation report held against the thresholds of the version's risk tier."""

    ref: Ref
    evidence_digest: Digest
    suite: str
    passed: bool
    results: tuple[MetricResult, ...] = ()
    dependencies: dict[str, Digest] = Field(default_factory=dict)
    """Digests of the prompt and other dependencies it was run with, by reference."""
    evaluated_at: datetime
    valid_days: Annotated[int, Field(ge=1)]
    problem: str | None = None
