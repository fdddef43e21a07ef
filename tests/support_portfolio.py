"""A believable portfolio as events: for tests of the console, and for looking at it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from registry_core.events import Event
from registry_core.events.evidence import (
    ArtifactScanned,
    DependenciesScanned,
    EvaluationAssessed,
    EvidenceAttached,
    Finding,
    MetricResult,
    ProvenanceVerified,
    VulnerabilityFound,
)
from registry_core.events.lifecycle import (
    DeploymentProvisioned,
    ExceptionGranted,
    ExceptionRequested,
    RemediationClockStarted,
    VersionApproved,
    VersionBecameCandidate,
    VersionDeprecated,
    VersionRetired,
    VersionSuspended,
)
from registry_core.events.promotions import (
    PolicyEvaluated,
    PromotionApproved,
    PromotionClosed,
    PromotionOpened,
    PromotionRefused,
    PromotionRequested,
    ReviewOpened,
    ReviewRecorded,
    ReviewRefused,
    RuleResult,
)
from registry_core.events.sources import Difference, ExternalDriftDetected
from registry_core.events.versions import ArtifactStored, DependantAdded, DependencyChanged, VersionRegistered
from registry_core.projections import Projection, Row
from registry_core.store.memory import MemoryEventStore
from registry_core.values import EvidenceType, File, Metadata, RiskTier, Severity, UseContext, asset_stream
from support import record

DRIFT: Final = ExternalDriftDetected(
    source="nightly", object="churn", difference=Difference(aspect="description", before="a", after="b")
)
"""Concerns no version of ours, so that it is in the view of those alone who read everywhere."""

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}"
CREDIT = UseContext(business_function="credit-decisions", data_class="confidential", region="eu")
SUPPORT = UseContext(business_function="customer-support")

Entry = tuple[str, Event, str, datetime]
"""Stream, event, actor, time it occurred."""


def digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


async def projected(projection: Projection, *given: tuple[str, Event]) -> dict[str, Row]:
    """Given these events on these streams: the projection's rows by key, as JSON keeps them."""
    store = MemoryEventStore()
    for stream, event in given:
        await record(store, stream, event)
    return {key: json.loads(json.dumps(row)) for key, row in projection.fold({}, store.log).items()}


def registered(ref: str, files: Sequence[str] = ("model.safetensors",), **metadata: object) -> VersionRegistered:
    listed = tuple(File(name=name, digest=digest(ref + name), size=90_868_376) for name in files)
    return VersionRegistered(
        ref=ref, digest=digest(ref), files=listed, format="safetensors", metadata=Metadata.model_validate(metadata),
        registered_by="ci",
    )  # fmt: skip


def stored(ref: str, name: str = "model.safetensors") -> ArtifactStored:
    return ArtifactStored(ref=ref, file=File(name=name, digest=digest(ref + name), size=90_868_376), uri="s3://b/k")


def scanned(ref: str, name: str = "model.safetensors", verdict: str = "clean", *findings: Finding) -> ArtifactScanned:
    return ArtifactScanned(
        ref=ref, file=name, digest=digest(ref + name), scanner="hallmark", verdict=verdict, read_completely=True,
        findings=findings,
    )  # fmt: skip


def evidence(ref: str, kind: EvidenceType) -> EvidenceAttached:
    return EvidenceAttached(
        ref=ref, evidence_type=kind, digest=digest(ref + kind), media_type="application/json", size=48_213,
        subject_digest=digest(ref), attached_by="ci",
    )  # fmt: skip


def matched(ref: str, vulnerable: int = 0, components: int = 212) -> DependenciesScanned:
    return DependenciesScanned(
        ref=ref, sbom_digest=digest(ref + EvidenceType.SBOM), format="CycloneDX 1.6", components=components,
        vulnerable=vulnerable,
    )  # fmt: skip


def vulnerability(
    ref: str,
    advisory: str = "GHSA-v9fg-3cr2-277j",
    component: str = "pkg:pypi/torch@2.5.1",
    severity: Severity = Severity.CRITICAL,
    *,
    fixed_in: str | None = "2.6.0",
    summary: str = "Remote code execution in load",
) -> VulnerabilityFound:
    return VulnerabilityFound(
        ref=ref,
        advisory=advisory,
        component=component,
        severity=severity,
        score=9.3,
        fixed_in=fixed_in,
        summary=summary,
    )


def provenance(ref: str, verified: bool = True) -> ProvenanceVerified:
    problem = None if verified else "the subject's digest is not this version's"
    return ProvenanceVerified(
        ref=ref, evidence_digest=digest(ref + EvidenceType.PROVENANCE), verified=verified, problem=problem,
        builder="https://ci.example/runner@v3" if verified else None,
    )  # fmt: skip


def assessed(ref: str, at: datetime, recall: float = 0.812, suite: str = "classifier-baseline") -> EvaluationAssessed:
    results = (
        MetricResult(metric="roc_auc", value=0.921, threshold=0.85, direction="at_least", passed=True),
        MetricResult(metric="recall", value=recall, threshold=0.75, direction="at_least", passed=recall >= 0.75),
        MetricResult(
            metric="demographic_parity_difference", value=0.041, threshold=0.1, direction="at_most", passed=True
        ),
        MetricResult(metric="latency_p99_ms", value=3.2, threshold=25, direction="at_most", passed=True),
    )
    return EvaluationAssessed(
        ref=ref, evidence_digest=digest(ref + EvidenceType.EVALUATION), suite=suite, passed=recall >= 0.75,
        results=results, evaluated_at=at, valid_days=90,
    )  # fmt: skip


REASONS = (
    RuleResult(
        rule="evaluations-pass", title="Evaluations meet the thresholds of the risk tier", outcome="fail",
        mode="enforce", evidence=("classifier-baseline",), owner="maria",
        detail="recall is 0.71, at least 0.75 is asked for at high risk",
        fix="retrain or move the decision threshold, and attach a new evaluation report",
    ),
    RuleResult(
        rule="metadata-complete", title="Metadata is complete", outcome="fail", mode="enforce", owner="maria",
        detail="missing: backup_owner, retire_on", fix="PATCH /v1/versions/…/metadata with the fields named",
    ),
)  # fmt: skip
WARNING = RuleResult(
    rule="high-vulnerabilities", title="No high vulnerability is open", outcome="fail", mode="warn",
    evidence=("GHSA-34jh-p97f-mpxf",), detail="GHSA-34jh-p97f-mpxf in urllib3 2.2.1", owner="maria",
    fix="update urllib3 to 2.2.2",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Story:
    """Writes down what happens to one version, each thing some minutes after the one before."""

    entries: list[Entry]
    ref: str
    begin: datetime

    def tell(self, *events: Event, by: str = "ci", stream: str = "", after: timedelta = timedelta(minutes=4)) -> None:
        for event in events:
            last = next((e[3] for e in reversed(self.entries) if e[1].__dict__.get("ref") == self.ref), self.begin)
            self.entries.append((stream or self.ref, event, by, last + after))

    def promotion(self, name: str, context: UseContext, by: str, expedite: bool = False) -> str:
        stream = f"promotion:{name}"
        self.tell(
            PromotionRequested(
                promotion=name, ref=self.ref, digest=digest(self.ref), context=context, environment="production",
                requested_by=by, expedite=expedite, reason="Replaces the rule engine before the quarter's close",
            ),
            by=by, stream=stream, after=timedelta(hours=3),
        )  # fmt: skip
        self.tell(PromotionOpened(ref=self.ref, promotion=name), by="service:approval")
        return stream

    def evaluated(self, name: str, *failed: RuleResult) -> None:
        passed = not any(result.mode == "enforce" for result in failed)
        good = [
            RuleResult(rule=f"rule-{n}", title=f"Rule {n}", outcome="pass", mode="enforce")
            for n in range(14 - len(failed))
        ]
        self.tell(
            PolicyEvaluated(
                promotion=name, ref=self.ref, policy="baseline", policy_digest=digest("baseline"), passed=passed,
                results=(*failed, *good), evidence_digests=(), facts={"version": {"ref": self.ref}},
            ),
            by="service:approval", stream=f"promotion:{name}",
        )  # fmt: skip

    def open_review(self, name: str, context: UseContext, *roles: str, expedite: bool = False) -> None:
        opened = ReviewOpened(promotion=name, ref=self.ref, roles=roles, context=context, expedite=expedite)
        self.tell(opened, by="service:approval", stream=f"promotion:{name}")
        self.tell(VersionBecameCandidate(ref=self.ref, promotion=name), by="service:approval")

    def review(self, name: str, role: str, reviewer: str, comment: str = "") -> None:
        given = ReviewRecorded(
            promotion=name, ref=self.ref, role=role, reviewer=reviewer, person=reviewer, outcome="approve",
            comment=comment, envelope={"payload": "…"},
        )  # fmt: skip
        self.tell(given, by=reviewer, stream=f"promotion:{name}", after=timedelta(hours=2))

    def approve(self, name: str, context: UseContext, expires_at: datetime, target: str = "kserve") -> None:
        signed = PromotionApproved(
            promotion=name, ref=self.ref, digest=digest(self.ref), context=context, environment="production",
            policy_digest=digest("baseline"), expires_at=expires_at, decision_digest=digest(name), envelope={},
        )  # fmt: skip
        self.tell(signed, by="service:approval", stream=f"promotion:{name}")
        self.tell(
            VersionApproved(
                ref=self.ref, promotion=name, context=context, environment="production", expires_at=expires_at,
                decision_digest=digest(name),
            ),
            PromotionClosed(ref=self.ref, promotion=name, outcome="approved"), by="service:approval",
        )  # fmt: skip
        self.tell(
            DeploymentProvisioned(
                ref=self.ref, promotion=name, environment="production", target=target,
                location=f"deployments/{name}.yaml", manifest_digest=digest("manifest"),
            ),
            by="service:lifecycle",
        )  # fmt: skip

    def checked(self, at: datetime, vulnerable: int = 0, recall: float = 0.812) -> None:
        self.tell(stored(self.ref))
        self.tell(*(evidence(self.ref, kind) for kind in EVIDENCE))
        self.tell(scanned(self.ref), matched(self.ref, vulnerable), provenance(self.ref), by="service:scanner")
        self.tell(assessed(self.ref, at, recall), by="service:evaluator")


EVIDENCE = (EvidenceType.SBOM, EvidenceType.PROVENANCE, EvidenceType.EVALUATION, EvidenceType.MODEL_CARD)
PICKLE = Finding(
    rule="pickle-import", severity=Severity.CRITICAL, location="data.pkl, offset 41",
    message="imports posix.system and calls it while loading", fix="save the weights as safetensors",
)  # fmt: skip


def portfolio(now: datetime) -> list[Entry]:
    """Fourteen versions in every state, with what people meet in practice."""
    entries: list[Entry] = []
    for tell in (_assets, _credit_risk, _fraud, _embedding, _chat, _hostile):
        tell(entries, now)
    return sorted(entries, key=lambda entry: entry[3])


def _story(entries: list[Entry], ref: str, begin: datetime, **metadata: object) -> Story:
    story = Story(entries, ref, begin)
    files = () if metadata.pop("without_files", False) else metadata.pop("files", ("model.safetensors",))
    story.tell(registered(ref, files, **metadata), after=timedelta(0))  # type: ignore[arg-type]  # a tuple of names
    for needed in metadata.get("depends_on", ()):  # type: ignore[attr-defined]  # a tuple of references
        story.tell(DependantAdded(dependant=ref, depends_on=needed), stream=asset_stream(needed))
    return story


def _assets(entries: list[Entry], now: datetime) -> None:
    applicants = "dataset:loan-applicants@2026.6.0"
    begin = now - timedelta(days=140)
    data = _story(
        entries, applicants, begin, files=("applicants.parquet",), owner="maria", licence="LicenseRef-internal",
        purpose="Applications of 2023 to 2026, pseudonymised", risk_tier=RiskTier.MEDIUM,
    )  # fmt: skip
    data.tell(stored(applicants, "applicants.parquet"))
    data.tell(scanned(applicants, "applicants.parquet"), by="service:scanner")
    _story(entries, "code:scoring-service@3.4.1", begin, without_files=True, owner="maria", licence="Apache-2.0")


def _credit_risk(entries: list[Entry], now: datetime) -> None:
    common = {
        "owner": "maria", "backup_owner": "tomas", "escalation": "ml-risk@example.org", "licence": "Apache-2.0",
        "purpose": "Probability that a loan applicant defaults within twelve months",
        "risk_tier": RiskTier.HIGH, "allowed_uses": ("Pre-scoring of consumer loans below 25,000 EUR",),
        "prohibited_uses": ("Declining without human review", "Employment decisions"),
        "mitigations": ({"risk": "Unequal error rates", "control": "Monthly fairness report per group"},),
        "depends_on": ("dataset:loan-applicants@2026.6.0", "code:scoring-service@3.4.1"),
        "source_repository": "https://git.example.org/risk/credit-risk", "source_commit": "4f1c2ab",
    }  # fmt: skip
    old = _story(entries, "model:credit-risk@1.0.0", now - timedelta(days=120), **common)
    old.checked(now - timedelta(days=119))
    old.promotion("cr-100", CREDIT, "maria")
    old.evaluated("cr-100")
    old.open_review("cr-100", CREDIT, "platform", "product", "security")
    for role, who in (("platform", "jonas"), ("product", "ines"), ("security", "wei")):
        old.review("cr-100", role, who)
    old.approve("cr-100", CREDIT, now + timedelta(days=6))
    old.tell(
        VersionDeprecated(ref=old.ref, replacement="model:credit-risk@1.1.0", cause="1.1.0 has better recall"),
        by="maria", after=timedelta(days=60),
    )  # fmt: skip
    new_one = _story(entries, "model:credit-risk@1.1.0", now - timedelta(days=40), **common)
    new_one.checked(now - timedelta(days=39))
    new_one.promotion("cr-110", CREDIT, "maria")
    new_one.evaluated("cr-110")
    new_one.open_review("cr-110", CREDIT, "platform", "product", "security")
    for role, who in (("platform", "jonas"), ("product", "ines"), ("security", "wei")):
        new_one.review("cr-110", role, who, "Fairness report looked at, fine" if role == "product" else "")
    new_one.approve("cr-110", CREDIT, now + timedelta(days=51))
    next_one = _story(entries, "model:credit-risk@2.0.0-rc.1", now - timedelta(hours=9), **common)
    next_one.checked(now - timedelta(hours=10), recall=0.71)
    next_one.promotion("cr-200", CREDIT, "maria")
    next_one.evaluated("cr-200", *REASONS)
    refused = PromotionRefused(promotion="cr-200", ref=next_one.ref, reasons=REASONS)
    next_one.tell(refused, by="service:approval", stream="promotion:cr-200")
    next_one.tell(PromotionClosed(ref=next_one.ref, promotion="cr-200", outcome="refused"), by="service:approval")


def _fraud(entries: list[Entry], now: datetime) -> None:
    fraud = _story(
        entries, "model:fraud-detector@3.2.0", now - timedelta(days=70), owner="wei", backup_owner="jonas",
        licence="Apache-2.0", purpose="Flags card payments for manual inspection", risk_tier=RiskTier.HIGH,
    )  # fmt: skip
    fraud.checked(now - timedelta(days=69))
    fraud.promotion("fd-320", CREDIT, "wei")
    fraud.evaluated("fd-320")
    fraud.open_review("fd-320", CREDIT, "platform", "security")
    fraud.review("fd-320", "platform", "jonas")
    fraud.review("fd-320", "security", "ines")
    fraud.approve("fd-320", CREDIT, now + timedelta(days=20))
    found = vulnerability(fraud.ref)
    fraud.tell(found, by="service:scanner", after=timedelta(days=66))
    fraud.tell(
        vulnerability(
            fraud.ref, "GHSA-34jh-p97f-mpxf", "pkg:pypi/urllib3@2.2.1", Severity.MEDIUM, fixed_in="2.2.2",
            summary="Header leak",
        ),
        RemediationClockStarted(
            ref=fraud.ref, finding=found.advisory, owner="wei", due=now + timedelta(hours=30), escalate_to="ml-risk"
        ),
        by="service:lifecycle",
    )  # fmt: skip
    spoiled = _story(entries, "model:fraud-detector@3.3.0", now - timedelta(days=2), files=("model.pt",), owner="wei")
    spoiled.tell(stored(spoiled.ref, "model.pt"))
    spoiled.tell(scanned(spoiled.ref, "model.pt", "malicious", PICKLE), by="service:scanner")


def _embedding(entries: list[Entry], now: datetime) -> None:
    embedding = _story(
        entries, "model:all-minilm-l6-v2@1.0.0", now - timedelta(days=30), owner="tomas", licence="Apache-2.0",
        purpose="Sentence embeddings for search in the help centre", risk_tier=RiskTier.LOW,
        files=("model.safetensors", "config.json", "tokenizer.json"),
    )  # fmt: skip
    embedding.tell(*(stored(embedding.ref, name) for name in ("model.safetensors", "config.json", "tokenizer.json")))
    embedding.tell(*(evidence(embedding.ref, kind) for kind in EVIDENCE))
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        embedding.tell(scanned(embedding.ref, name), by="service:scanner")
    embedding.tell(matched(embedding.ref, 1), provenance(embedding.ref), by="service:scanner")
    embedding.tell(
        vulnerability(
            embedding.ref,
            "GHSA-34jh-p97f-mpxf",
            "pkg:pypi/urllib3@2.2.1",
            Severity.HIGH,
            fixed_in="2.2.2",
            summary="Header leak",
        ),
        by="service:scanner",
    )
    embedding.tell(assessed(embedding.ref, now - timedelta(days=29), suite="embedding-sts"), by="service:evaluator")
    embedding.tell(
        ExceptionRequested(
            ref=embedding.ref, exception="x-1", rule="high-vulnerabilities", finding="GHSA-34jh-p97f-mpxf",
            reason="urllib3 is not reachable while serving", requested_by="tomas", expires_at=now + timedelta(days=12),
        ),
        by="tomas",
    )  # fmt: skip
    granted = ExceptionGranted(ref=embedding.ref, exception="x-1", granted_by="ines", person="ines")
    embedding.tell(granted, by="ines")
    embedding.promotion("emb-100", SUPPORT, "tomas", expedite=True)
    embedding.evaluated("emb-100", WARNING)
    embedding.open_review("emb-100", SUPPORT, "platform", "product", expedite=True)
    embedding.review("emb-100", "platform", "jonas", "Latency is well within the budget of the help centre")
    own = RuleResult(
        rule="four-eyes", title="The reviewer is not the requester", outcome="fail", mode="enforce",
        detail="tomas asked for this promotion", fix="ask another product reviewer",
    )  # fmt: skip
    no = ReviewRefused(promotion="emb-100", ref=embedding.ref, role="product", reviewer="tomas", reason=own)
    embedding.tell(no, by="tomas", stream="promotion:emb-100")


def _chat(entries: list[Entry], now: datetime) -> None:
    first, second = "prompt:support-answer@1.0.0", "prompt:support-answer@1.1.0"
    _story(entries, first, now - timedelta(days=90), files=("prompt.txt",), owner="ines", risk_tier=RiskTier.MEDIUM)
    adapter = _story(
        entries, "adapter:support-tone@0.9.0", now - timedelta(days=80), owner="ines", licence="CC-BY-4.0",
        purpose="Answers customers in the house's tone", risk_tier=RiskTier.MEDIUM, depends_on=(first,),
        files=("adapter.safetensors",),
    )  # fmt: skip
    adapter.tell(stored(adapter.ref, "adapter.safetensors"), evidence(adapter.ref, EvidenceType.SBOM))
    adapter.tell(scanned(adapter.ref, "adapter.safetensors"), matched(adapter.ref), by="service:scanner")
    adapter.promotion("st-090", SUPPORT, "ines")
    _story(entries, second, now - timedelta(days=3), files=("prompt.txt",), owner="ines", risk_tier=RiskTier.MEDIUM)
    changed = DependencyChanged(ref=adapter.ref, dependency=first, newer=second, newer_digest=digest(second))
    adapter.tell(changed, by="service:ingestion")
    summary = _story(entries, "model:ticket-summary@2.0.0", now - timedelta(days=60), licence="MIT")
    summary.checked(now - timedelta(days=59))
    summary.approve("ts-200", SUPPORT, now + timedelta(days=29))
    churn = _story(entries, "model:churn@0.4.2", now - timedelta(days=200), owner="tomas", risk_tier=RiskTier.LOW)
    churn.tell(VersionRetired(ref=churn.ref, cause="replaced by the vendor's service"), by="tomas")
    intent = _story(entries, "model:intent-router@1.2.0", now - timedelta(days=33), owner="jonas", risk_tier="medium")
    intent.checked(now - timedelta(days=32))
    intent.approve("ir-120", SUPPORT, now + timedelta(days=57))
    cause = "answers leaked account numbers in two conversations"
    intent.tell(VersionSuspended(ref=intent.ref, cause=cause), by="wei", after=timedelta(days=31))


def _hostile(entries: list[Entry], now: datetime) -> None:
    ref = "model:hostile@0.0.1"
    hostile = _story(
        entries, ref, now - timedelta(days=1), owner="mallory", purpose=HOSTILE, licence=HOSTILE, risk_tier="low",
        allowed_uses=(HOSTILE,), source_repository=f"javascript:alert(3) {HOSTILE}\x00",
    )  # fmt: skip
    seen = Finding(rule=HOSTILE, severity=Severity.HIGH, location=HOSTILE, message=HOSTILE, fix=HOSTILE)
    hostile.tell(scanned(ref, HOSTILE, "review", seen), by="service:scanner")
    hostile.tell(
        vulnerability(ref, HOSTILE, HOSTILE, Severity.LOW, fixed_in=HOSTILE, summary=HOSTILE + "\x00"),
        by="service:scanner",
    )
