"""An approval ends when what it was given for is replaced."""

from dataclasses import replace

import pytest
from hallmark_lifecycle.voiding import cause_of
from registry_core.events.evidence import EvaluationAssessed, EvidenceAttached, MetricResult
from registry_core.events.versions import MetadataAmended
from registry_core.values import EvidenceType, Metadata, RiskTier, sha256_digest
from registry_core.version import Version
from support import NOW

REF = "model:m@1.0.0"
METADATA = Metadata(owner="dana", licence="MIT", risk_tier=RiskTier.LOW, allowed_uses=("lending",))


def evidence(kind: EvidenceType) -> EvidenceAttached:
    digest = sha256_digest(b"x")
    return EvidenceAttached(
        ref=REF, evidence_type=kind, digest=digest, media_type="application/json", size=1, subject_digest=digest,
        attached_by="ci",
    )  # fmt: skip


def before(*kinds: EvidenceType) -> Version:
    return replace(Version(ref=REF, metadata=METADATA), evidence=tuple(map(evidence, kinds)))


@pytest.mark.parametrize("kind", [EvidenceType.SBOM, EvidenceType.PROVENANCE])
def test_replacing_what_a_version_is_made_of_ends_its_approvals(kind: EvidenceType) -> None:
    assert cause_of(evidence(kind), before(kind)) == f"the {kind} was replaced"
    assert cause_of(evidence(kind), before()) is None


def test_a_further_review_document_ends_none() -> None:
    assert cause_of(evidence(EvidenceType.REVIEW), before(EvidenceType.REVIEW)) is None


def assessed(*results: MetricResult, problem: str | None = None) -> EvaluationAssessed:
    return EvaluationAssessed(
        ref=REF, evidence_digest=sha256_digest(b"x"), suite="classifier-baseline", passed=False, results=results,
        evaluated_at=NOW, valid_days=90, problem=problem,
    )  # fmt: skip


def test_an_evaluation_below_its_threshold_ends_approvals() -> None:
    missed = MetricResult(metric="accuracy", value=0.4, threshold=0.6, direction="at_least", passed=False)
    assert cause_of(assessed(missed), before()) == "evaluation classifier-baseline failed: accuracy"


def test_a_report_that_does_not_speak_of_the_version_ends_none() -> None:
    assert cause_of(assessed(problem="/format: Field required"), before()) is None


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"risk_tier": RiskTier.HIGH}, "amended: risk_tier"),
        ({"licence": "GPL-3.0-only", "prohibited_uses": ("lending",)}, "amended: licence, prohibited_uses"),
        ({"backup_owner": "mia"}, None),
    ],
)
def test_amending_what_was_decided_on_ends_its_approvals(changes: dict[str, object], cause: str | None) -> None:
    amended = MetadataAmended(ref=REF, metadata=METADATA.model_copy(update=changes))
    assert cause_of(amended, before()) == cause
