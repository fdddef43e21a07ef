"""Given events on the version's stream, which jobs and assessments follow."""

import json
from collections.abc import Sequence
from typing import Any

from hallmark_evaluator.handlers import ASSESS, assessing, reassess_for_new_tier, start_assessment
from registry_core.events import Event
from registry_core.events.evidence import EvaluationAssessed, EvidenceAttached
from registry_core.events.versions import MetadataAmended, VersionRegistered
from registry_core.handlers import Effect, Emit, StartJob
from registry_core.problems import not_found
from registry_core.store.memory import MemoryEventStore
from registry_core.values import EvidenceType, File, Metadata, RiskTier, sha256_digest
from support import NOW, MemoryReader, record

REF = "model:credit-risk@1.0.0"
DIGEST = sha256_digest(b"weights")
METRICS = {
    "accuracy": 0.763,
    "roc_auc": 0.853,
    "recall": 0.66,
    "demographic_parity_difference": 0.12,
    "equal_opportunity_difference": 0.2,
    "latency_p99_ms": 300.0,
}
"""Good enough for the medium tier; too slow for the high one."""


class Shelf:
    """Documents in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        self.kept[sha256_digest(data)] = data
        return sha256_digest(data)

    async def get(self, digest: str) -> bytes:
        if digest not in self.kept:
            raise not_found(f"object {digest}")
        return self.kept[digest]


def report(n: int = 0, **changed: Any) -> bytes:
    document = {
        "format": "hallmark.evaluation/v1",
        "suite": "classifier-baseline",
        "evaluated_at": NOW.isoformat(),
        "subject": {"digest": DIGEST},
        "metrics": METRICS,
        "tool": {"name": "t", "version": str(n)},
        "dataset": {"name": "d", "digest": DIGEST, "n": 10},
    }
    return json.dumps(document | changed).encode()


def registered(tier: RiskTier | None = RiskTier.MEDIUM) -> VersionRegistered:
    return VersionRegistered(
        ref=REF,
        digest=DIGEST,
        files=(File(name="model.skops", digest=DIGEST),),
        metadata=Metadata(risk_tier=tier),
        registered_by="ci",
    )


def attached(digest: str, evidence_type: EvidenceType = EvidenceType.EVALUATION) -> EvidenceAttached:
    return EvidenceAttached(
        ref=REF,
        evidence_type=evidence_type,
        digest=digest,
        media_type="application/vnd.hallmark.evaluation+json",
        size=10,
        subject_digest=DIGEST,
        attached_by="ci",
    )


async def run(store: MemoryEventStore, shelf: Shelf, jobs: Sequence[Effect]) -> list[Event]:
    """Run the jobs and append what they emit."""
    emitted: list[Event] = []
    for job in jobs:
        assert isinstance(job, StartJob)
        for effect in await assessing(shelf)(job.payload, MemoryReader(store)):
            assert isinstance(effect, Emit)
            await record(store, effect.stream, *effect.events)
            emitted += effect.events
    return emitted


async def attach(store: MemoryEventStore, shelf: Shelf, data: bytes) -> Sequence[Effect]:
    """An evaluation is attached; the job that follows."""
    (event,) = await record(store, REF, attached(shelf.put(data)))
    return await start_assessment(event, MemoryReader(store))


async def test_an_attached_evaluation_is_assessed() -> None:
    store, shelf = MemoryEventStore(), Shelf()
    await record(store, REF, registered())
    (made,) = await run(store, shelf, await attach(store, shelf, report()))
    assert isinstance(made, EvaluationAssessed)
    assert made.passed


async def test_other_evidence_is_none_of_its_business() -> None:
    store = MemoryEventStore()
    (event,) = await record(store, REF, attached(DIGEST, EvidenceType.SBOM))
    assert await start_assessment(event, MemoryReader(store)) == []


async def test_what_is_no_report_fails_with_the_reason() -> None:
    store, shelf = MemoryEventStore(), Shelf()
    await record(store, REF, registered())
    (made,) = await run(store, shelf, await attach(store, shelf, b"<html>"))
    assert isinstance(made, EvaluationAssessed)
    assert not made.passed
    assert made.suite == "unreadable"
    assert "Invalid JSON" in (made.problem or "")


async def test_a_lost_or_altered_report_fails_with_the_reason() -> None:
    store, shelf = MemoryEventStore(), Shelf()
    await record(store, REF, registered())
    jobs = await attach(store, shelf, report())
    (digest,) = shelf.kept
    shelf.kept[digest] = report(1)
    (altered,) = await run(store, shelf, jobs)
    shelf.kept.clear()
    (lost,) = await run(store, shelf, jobs)
    assert isinstance(altered, EvaluationAssessed)
    assert isinstance(lost, EvaluationAssessed)
    assert "another digest" in (altered.problem or "")
    assert "not known" in (lost.problem or "")


async def test_a_changed_risk_tier_has_the_standing_report_assessed_anew() -> None:
    store, shelf = MemoryEventStore(), Shelf()
    await record(store, REF, registered(RiskTier.MEDIUM))
    await run(store, shelf, await attach(store, shelf, report()))
    (same,) = await record(store, REF, MetadataAmended(ref=REF, metadata=Metadata(risk_tier="medium", owner="bea")))
    assert await reassess_for_new_tier(same, MemoryReader(store)) == []
    (raised,) = await record(store, REF, MetadataAmended(ref=REF, metadata=Metadata(risk_tier="high")))
    jobs = await reassess_for_new_tier(raised, MemoryReader(store))
    assert [job.kind for job in jobs if isinstance(job, StartJob)] == [ASSESS]
    (made,) = await run(store, shelf, jobs)
    assert isinstance(made, EvaluationAssessed)
    assert [r.metric for r in made.results if not r.passed] == ["latency_p99_ms"]


async def test_a_late_job_does_not_bring_an_older_report_back() -> None:
    store, shelf = MemoryEventStore(), Shelf()
    await record(store, REF, registered())
    late = await attach(store, shelf, report(1, metrics={}))
    newer = await attach(store, shelf, report(2))
    assert len(await run(store, shelf, newer)) == 1
    assert await run(store, shelf, late) == []
