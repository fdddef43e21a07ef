"""The evaluator over a real log: from the attached report to the recorded assessment."""

import json

from hallmark_evaluator.bootstrap import build
from registry_core.events import Event
from registry_core.events.evidence import EvaluationAssessed, EvidenceAttached
from registry_core.events.versions import VersionRegistered
from registry_core.handlers import load
from registry_core.messaging.consumer import Consumer
from registry_core.messaging.jobs import JobRunner
from registry_core.service import Platform, Service, open_platform
from registry_core.settings import Settings
from registry_core.store import ANY, Append
from registry_core.store.sealer import Sealer
from registry_core.values import EvidenceType, File, Metadata, RiskTier, sha256_digest
from registry_core.version import Version
from support import NOW, new

REF = "model:credit-risk@1.0.0"
DIGEST = sha256_digest(b"weights")
REPORT = {
    "format": "hallmark.evaluation/v1",
    "suite": "classifier-baseline",
    "evaluated_at": NOW.isoformat(),
    "subject": {"digest": DIGEST},
    "dependencies": {},
    "metrics": {
        "accuracy": 0.763,
        "roc_auc": 0.853,
        "recall": 0.775,
        "demographic_parity_difference": 0.053,
        "equal_opportunity_difference": 0.155,
        "latency_p99_ms": 3.2,
    },
    "groups": [],
    "tool": {"name": "t", "version": "1"},
    "dataset": {"name": "d", "digest": DIGEST, "n": 177},
}


async def given(platform: Platform, *events: Event) -> None:
    await platform.store.append(Append(REF, [new(event) for event in events], ANY))
    await Sealer(platform.ledger, 4).seal_once()


async def settle(platform: Platform, service: Service) -> None:
    """Let the service do everything that waits for it."""
    consumer = Consumer(service.name, service.handlers, platform.pool, platform.clock)
    for partition in await consumer.behind():
        await consumer.advance(partition)
    jobs = JobRunner(service.name, service.jobs, platform.pool, platform.notifier, platform.clock)
    while await jobs.run_next():
        pass


async def test_a_report_becomes_one_assessment_however_often_it_is_handled(settings: Settings) -> None:
    platform = await open_platform(settings)
    try:
        service = build(platform)
        digest = await platform.objects.put(json.dumps(REPORT).encode())
        await given(
            platform,
            VersionRegistered(
                ref=REF, digest=DIGEST, files=(File(name="m", digest=DIGEST),),
                metadata=Metadata(risk_tier=RiskTier.HIGH), registered_by="ci",
            ),
            EvidenceAttached(
                ref=REF, evidence_type=EvidenceType.EVALUATION, digest=digest, size=1, subject_digest=DIGEST,
                media_type="application/vnd.hallmark.evaluation+json", attached_by="ci",
            ),
        )  # fmt: skip
        assert (await load(platform.reader, Version(), REF)).pending_checks() == [f"assessment of {digest}"]
        await settle(platform, service)
        await platform.pool.execute("delete from work.watermarks")
        await platform.pool.execute("update work.jobs set state = 'waiting', lease_until = null")
        await settle(platform, service)
        (events,) = await platform.reader.read(REF)
        made = [event.data for event in events if event.type == EvaluationAssessed.type]
        assert [(e.passed, e.evidence_digest) for e in made if isinstance(e, EvaluationAssessed)] == [(True, digest)]
        assert (await load(platform.reader, Version(), REF)).pending_checks() == []
    finally:
        platform.terminate()
