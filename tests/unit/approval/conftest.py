"""A version that satisfies the whole baseline, to be spoilt in one place per test."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hallmark_approval.policy import Facts, GrantedException, Pack, baseline_pack, load_pack
from hallmark_approval.policy.facts import (
    ContextFacts,
    DependencyFacts,
    EvaluationFacts,
    FileFacts,
    MetadataFacts,
    ProvenanceFacts,
    SbomFacts,
    ScanFacts,
    VersionFacts,
)
from registry_core.values import Kind, Metadata, Mitigation, RiskTier, UseContext

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DIGEST = "sha256:" + "a" * 64
SBOM = "sha256:" + "b" * 64
METADATA = Metadata(
    owner="olga",
    backup_owner="ben",
    escalation="risk-desk@example.org",
    purpose="score credit applications",
    allowed_uses=("credit-scoring", "fraud/internal"),
    prohibited_uses=("employment",),
    licence="Apache-2.0 OR GPL-3.0-only",
    risk_tier=RiskTier.HIGH,
    mitigations=(Mitigation(risk="bias", control="quarterly review"),),
    depends_on=("prompt:answer@1.0.0",),
    source_repository="https://git.example.org/credit",
    source_commit="0123abcd",
    deployment_targets=("kserve",),
    retire_on=NOW + timedelta(days=700),
)


@pytest.fixture(scope="session")
def baseline() -> Pack:
    return load_pack(baseline_pack())


@pytest.fixture(scope="session")
def make_facts() -> Callable[..., Facts]:
    """`make_facts(kind="model", metadata={…changed fields…}, context=UseContext(…), **facts)`."""

    def make(
        kind: str = "model", metadata: dict[str, Any] | None = None, context: UseContext | None = None, **changed: Any
    ) -> Facts:
        whole = METADATA.model_copy(update=metadata or {})
        fields = {
            "version": VersionFacts(
                ref=f"{kind}:credit-risk@1.0.0",
                kind=Kind(kind),
                digest=DIGEST,
                state="draft",
                registered_by="rita",
                files=(FileFacts(name="model.safetensors", digest=DIGEST, size=9, stored=True, verified=True),),
            ),
            "metadata": MetadataFacts.of(whole, Kind(kind)),
            "scan": ScanFacts(verdict="clean", complete=True, files_scanned=1, files_total=1),
            "sbom": SbomFacts(present=True, digest=SBOM, components=12),
            "provenance": ProvenanceFacts(present=True, verified=True, builder="https://ci.example.org"),
            "evaluations": (EvaluationFacts(suite="quality", passed=True, age_days=3, valid_days=90),),
            "dependencies": (DependencyFacts(ref="prompt:answer@1.0.0"),),
            "context": ContextFacts.of(context or UseContext(business_function="credit-scoring")),
            "environment": "production",
            "risk_tier": whole.risk_tier or RiskTier.HIGH,
            "requested_by": "rita",
            "evaluated_at": NOW,
        }
        return Facts(**{**fields, **changed})

    return make


@pytest.fixture(scope="session")
def make_exception() -> Callable[..., GrantedException]:
    def make(rule: str, **changed: Any) -> GrantedException:
        fields = {
            "exception": "x-1",
            "ref": "model:credit-risk@1.0.0",
            "rule": rule,
            "reason": "not reachable in this use",
            "requested_by": "rita",
            "granted_by": "mona",
            "expires_at": NOW + timedelta(days=14),
        }
        return GrantedException(**{**fields, **changed})

    return make
