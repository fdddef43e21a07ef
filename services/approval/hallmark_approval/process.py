"""What the approval process reads: a promotion's stream, the active policy, and the facts about a version."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Final

from registry_core.events import RecordedEvent
from registry_core.events.evidence import MetricResult
from registry_core.events.governance import PolicyActivated
from registry_core.events.promotions import PolicyEvaluated, PromotionRefused
from registry_core.values import EvidenceType, Kind, RiskTier, State, parse_ref
from registry_core.version import RuleException, Version

from hallmark_approval.policy import Facts, GrantedException, Pack, load_pack
from hallmark_approval.policy.facts import (
    ContextFacts,
    DependencyFacts,
    EvaluationFacts,
    FileFacts,
    FindingFacts,
    MetadataFacts,
    ProvenanceFacts,
    SbomFacts,
    ScanFacts,
    VersionFacts,
    VulnerabilityFacts,
)
from hallmark_approval.promotion import Promotion, evolve
from hallmark_approval.recorded import material, material_digest

ACTIVE_POLICY: Final = "baseline"
RUNS_WITH: Final = frozenset({Kind.PROMPT, Kind.ADAPTER})
"""Dependencies that are part of what answers: a change of one makes evaluations stale."""
UNREADABLE: Final = "unreadable"
"""Suite of a report that could not be read; a readable one attached later takes its place."""
_WORST: Final = ("malicious", "review", "clean")


@dataclass(frozen=True, slots=True)
class PromotionStream:
    """A promotion with its stream's version and what a person wants to see of it."""

    version: int = -1
    promotion: Promotion | None = None
    audit: PolicyEvaluated | None = None
    refusal: PromotionRefused | None = None

    def evolve(self, event: RecordedEvent) -> "PromotionStream":
        data = event.data
        return replace(
            self,
            version=event.version,
            promotion=evolve(self.promotion, data),
            audit=data if isinstance(data, PolicyEvaluated) else self.audit,
            refusal=data if isinstance(data, PromotionRefused) else self.refusal,
        )


@dataclass(frozen=True, slots=True)
class PolicyStream:
    """Every document a policy ever was, the active one last."""

    version: int = -1
    activations: tuple[PolicyActivated, ...] = ()

    def evolve(self, event: RecordedEvent) -> "PolicyStream":
        data = event.data
        activations = (*self.activations, data) if isinstance(data, PolicyActivated) else self.activations
        return PolicyStream(event.version, activations)

    def pack(self, digest: str | None = None) -> Pack:
        """The active pack, or the one with this digest, ready to evaluate. Raises LookupError."""
        return _compiled(self.document(digest))

    def document(self, digest: str | None = None) -> bytes:
        """The active document, or the one with this digest. Raises LookupError."""
        for activation in reversed(self.activations):
            if digest in (None, activation.digest):
                return activation.document.encode()
        raise LookupError("no such policy was ever active; activate one with `hallmark policy activate`")


@lru_cache(maxsize=16)
def _compiled(raw: bytes) -> Pack:
    """Compiling a pack's CEL takes tens of milliseconds; evaluating it well under one."""
    return load_pack(raw)


def facts_about(version: Version, promotion: Promotion, now: datetime) -> Facts:
    """The closed document that the rules see."""
    kind = Kind(parse_ref(version.ref).kind)
    return Facts(
        version=VersionFacts(
            ref=version.ref, kind=kind, digest=version.digest, format=version.format,
            state=version.state or State.DRAFT, registered_by=version.registered_by, files=_files(version),
        ),
        metadata=MetadataFacts.of(version.metadata, kind),
        scan=_scan(version),
        sbom=_sbom(version),
        vulnerabilities=tuple(
            VulnerabilityFacts(
                advisory=v.advisory, component=v.component, severity=v.severity, score=v.score, fixed_in=v.fixed_in
            )
            for v in version.vulnerabilities.values()
        ),
        provenance=_provenance(version),
        evaluations=_evaluations(version, now),
        dependencies=_dependencies(version),
        context=ContextFacts.of(promotion.context),
        environment=promotion.environment,
        risk_tier=version.metadata.risk_tier or RiskTier.HIGH,  # nobody said: the strictest
        requested_by=promotion.requested_by,
        evaluated_at=now,
    )  # fmt: skip


def evidence_digests(version: Version) -> list[str]:
    """Everything that a decision about the version rests on."""
    return sorted({item.digest for item in version.evidence})


def is_as_audited(state: PromotionStream, facts: Facts, digests: Sequence[str]) -> bool:
    """Whether the reviewers still look at what the last audit saw."""
    if state.audit is None or sorted(state.audit.evidence_digests) != sorted(digests):
        return False
    now = facts.model_dump(mode="json", exclude_none=True)
    if state.audit.facts_digest:
        return material_digest(now) == state.audit.material_digest
    return material(now) == material(state.audit.facts)


def what_changed(version: Version, state: PromotionStream, now: datetime) -> str | None:
    """Why nobody may approve just now; None when all is as it was audited."""
    if pending := version.pending_checks():
        return f"checks are under way: {', '.join(pending)}"
    if state.promotion is None:
        return "there is no such promotion"
    if not is_as_audited(state, facts_about(version, state.promotion, now), evidence_digests(version)):
        return "evidence, metadata or findings changed after the audit"
    return None


def granted(version: Version) -> list[GrantedException]:
    """Exceptions that somebody granted; whether they still hold is for the evaluation to say."""
    return [
        _granted(version.ref, item, item.granted_by)
        for item in version.exceptions.values()
        if item.granted_by and not item.expired
    ]


def _granted(ref: str, item: RuleException, granted_by: str) -> GrantedException:
    return GrantedException(
        exception=item.exception, ref=ref, rule=item.rule, finding=item.finding, reason=item.reason,
        requested_by=item.requested_by, granted_by=granted_by, expires_at=item.expires_at,
    )  # fmt: skip


def _files(version: Version) -> tuple[FileFacts, ...]:
    return tuple(
        FileFacts(
            name=file.name, digest=file.digest, size=file.size or 0,
            stored=file.name in version.stored, verified=file.name in version.stored,
        )
        for file in version.files
    )  # fmt: skip


def _scan(version: Version) -> ScanFacts:
    scans = version.scans.values()
    verdict = next((v for v in _WORST if any(s.verdict == v for s in scans)), "none")
    findings = tuple(
        FindingFacts(rule=f.rule, severity=f.severity, location=f"{s.file}: {f.location}", message=f.message, fix=f.fix)
        for s in scans
        for f in s.findings
    )
    return ScanFacts(
        verdict=verdict, complete=all(s.read_completely for s in scans), files_scanned=len(version.scans),
        files_total=len(version.files), findings=findings,
    )  # fmt: skip


def _sbom(version: Version) -> SbomFacts:
    sboms, matched = version.of_type(EvidenceType.SBOM), version.dependencies
    if not sboms:
        return SbomFacts()
    return SbomFacts(
        present=True, digest=sboms[-1].digest, components=matched.components if matched else 0,
        problem=matched.problem if matched else "not matched yet",
    )  # fmt: skip


def _provenance(version: Version) -> ProvenanceFacts:
    present, outcome = bool(version.of_type(EvidenceType.PROVENANCE)), version.provenance
    if outcome is None:
        return ProvenanceFacts(present=present)
    return ProvenanceFacts(present=present, verified=outcome.verified, problem=outcome.problem, builder=outcome.builder)


def _evaluations(version: Version, now: datetime) -> tuple[EvaluationFacts, ...]:
    newest = version.of_type(EvidenceType.EVALUATION)[-1:]
    superseded = {item.digest for item in version.evidence} - {item.digest for item in newest}
    return tuple(
        EvaluationFacts(
            suite=item.suite,
            passed=item.passed,
            age_days=max(0, math.ceil((now - item.evaluated_at).total_seconds() / 86_400)),
            valid_days=item.valid_days,
            stale_because=_stale(version, item.dependencies),
            failures=tuple(_failures(item.results, item.problem)),
        )
        for item in version.evaluations.values()
        if not (item.suite == UNREADABLE and item.evidence_digest in superseded)
    )


def _failures(results: Iterable[MetricResult], problem: str | None) -> Iterable[str]:
    if problem:
        yield problem
    for result in results:
        if not result.passed:
            bound = f"{result.direction.replace('_', ' ')} {result.threshold}"
            yield f"{result.metric} is {result.value}, {bound} is asked for"


def _stale(version: Version, evaluated_with: Mapping[str, str]) -> str | None:
    """Whether a newer prompt or adapter exists than the one the evaluation ran with, by content."""
    newest = {c.dependency: c for _, c in version.changed_dependencies if parse_ref(c.dependency).kind in RUNS_WITH}
    for dependency, changed in newest.items():
        if changed.newer_digest not in evaluated_with.values():
            return f"{changed.newer} replaced {dependency}"
    return None


def _dependencies(version: Version) -> tuple[DependencyFacts, ...]:
    newer = {changed.dependency: changed.newer for _, changed in version.changed_dependencies}
    return tuple(DependencyFacts(ref=ref, newer=newer.get(ref)) for ref in version.metadata.dependencies)
