"""The closed document that policy rules see, and nothing beyond it.

It is stored with each evaluation, so that a decision can be replayed. Absent strings read as "" and absent numbers as
0 in a rule; `has(x.y)` tells whether a value was given.
"""

from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import AwareDatetime, Field
from registry_core.proofs.decision import GrantedException
from registry_core.values import (
    Account,
    Digest,
    Kind,
    Line,
    Metadata,
    Name,
    Ref,
    RiskTier,
    Severity,
    State,
    UseContext,
    Value,
    parse_ref,
)

Count = Annotated[int, Field(ge=0, lt=2**63)]

_ACCOUNTABLE = ("owner", "backup_owner", "escalation", "purpose", "risk_tier")
_SOURCE = ("source_repository", "source_commit")
_DEPLOYABLE = (
    *_ACCOUNTABLE,
    "allowed_uses",
    "prohibited_uses",
    "licence",
    *_SOURCE,
    "deployment_targets",
    "retire_on",
)
REQUIRED: dict[Kind, tuple[str, ...]] = {
    Kind.MODEL: _DEPLOYABLE,
    Kind.ADAPTER: (*_DEPLOYABLE, "depends_on"),
    Kind.PROMPT: (*_ACCOUNTABLE, "allowed_uses"),
    Kind.DATASET: (*_ACCOUNTABLE, "allowed_uses", "licence"),
    Kind.CODE: (*_ACCOUNTABLE, "licence", *_SOURCE),
}
"""What promotion demands of each kind. `rollback_to` is not here: a first version has none."""


def missing_fields(kind: Kind, metadata: Metadata) -> tuple[str, ...]:
    """Every required field that is absent, all at once.

    Medium and high tiers also need mitigating controls, and what was made from a base model has to say how.
    """
    mitigated = metadata.risk_tier in (RiskTier.MEDIUM, RiskTier.HIGH)
    required = (*REQUIRED[kind], "mitigations") if mitigated else REQUIRED[kind]
    if kind in (Kind.MODEL, Kind.ADAPTER) and _has_base_model(metadata):
        required = (*required, "fine_tune_method")
    return tuple(name for name in required if not getattr(metadata, name))


def _has_base_model(metadata: Metadata) -> bool:
    return any(parse_ref(ref).kind == Kind.MODEL for ref in metadata.dependencies)


class FileFacts(Value):
    name: Line
    digest: Digest
    size: Count = 0
    stored: bool = False
    verified: bool = False
    """The digest was computed from the stored bytes and agrees."""


class VersionFacts(Value):
    ref: Ref
    kind: Kind
    digest: Digest
    format: Line | None = None
    state: State
    registered_by: Account
    files: tuple[FileFacts, ...] = ()


class MetadataFacts(Metadata):
    missing: tuple[str, ...]

    @classmethod
    def of(cls, metadata: Metadata, kind: Kind) -> Self:
        return cls(**dict(metadata), missing=missing_fields(kind, metadata))


class FindingFacts(Value):
    rule: Line
    severity: Severity
    location: Line = ""
    message: Line = ""
    fix: Line = ""


class ScanFacts(Value):
    """All files' scans together. `verdict` is the worst one; "none" before the first scan."""

    verdict: Annotated[str, Field(pattern="^(none|clean|review|malicious)$")] = "none"
    complete: bool = False
    files_scanned: Count = 0
    files_total: Count = 0
    findings: tuple[FindingFacts, ...] = ()


class SbomFacts(Value):
    present: bool = False
    digest: Digest | None = None
    components: Count = 0
    problem: Line | None = None


class VulnerabilityFacts(Value):
    advisory: Line
    component: Line
    """purl with version."""
    severity: Severity
    score: Annotated[float, Field(allow_inf_nan=False)] | None = None
    fixed_in: Line | None = None
    excepted: bool = False
    """An exception in force names this advisory. Set by `evaluate`; for `detail` and `fix` only."""


class ProvenanceFacts(Value):
    present: bool = False
    verified: bool = False
    problem: Line | None = None
    builder: Line | None = None


class EvaluationFacts(Value):
    suite: Line
    passed: bool
    age_days: Count
    """Days begun since the evaluation."""
    valid_days: Annotated[int, Field(ge=1, lt=2**63)]
    stale_because: Line | None = None
    """E.g. `prompt:answer@1.1.0 replaced prompt:answer@1.0.0`."""
    failures: tuple[Line, ...] = ()


class DependencyFacts(Value):
    ref: Ref
    newer: Ref | None = None


class ContextFacts(UseContext):
    scopes: tuple[str, ...]
    """The forms in which a use may be allowed: `function`, `function/data class`, `function/data class/region`."""

    @classmethod
    def of(cls, context: UseContext) -> Self:
        function, data_class = context.business_function, context.data_class
        return cls(**dict(context), scopes=(function, f"{function}/{data_class}", str(context)))


class Facts(Value):
    """Everything a rule may look at."""

    version: VersionFacts
    metadata: MetadataFacts
    scan: ScanFacts = ScanFacts()
    sbom: SbomFacts = SbomFacts()
    vulnerabilities: tuple[VulnerabilityFacts, ...] = ()
    provenance: ProvenanceFacts = ProvenanceFacts()
    evaluations: tuple[EvaluationFacts, ...] = ()
    dependencies: tuple[DependencyFacts, ...] = ()
    context: ContextFacts
    environment: Name
    risk_tier: RiskTier
    requested_by: Account
    evaluated_at: AwareDatetime
    exceptions: tuple[GrantedException, ...] = ()
    """Those in force at `evaluated_at`. Set by `evaluate`."""

    def with_exceptions(self, granted: Iterable[GrantedException]) -> Self:
        """These facts with the exceptions in force, and the vulnerabilities they name marked."""
        in_force = tuple(e for e in granted if e.in_force(self.version.ref, self.evaluated_at))
        named = {e.finding for e in in_force}
        marked = tuple(v.model_copy(update={"excepted": v.advisory in named}) for v in self.vulnerabilities)
        return self.model_copy(update={"exceptions": in_force, "vulnerabilities": marked})
