"""What was audited is what may be approved: nothing changes under the reviewers."""

from datetime import timedelta
from typing import Any

import pytest
from hallmark_approval.handlers import audit_open_promotions, auditing, mark_candidate, mark_outcome
from hallmark_approval.policy import Facts, baseline_pack, evaluate, load_pack
from hallmark_approval.process import PromotionStream, what_changed
from hallmark_approval.promotion import Stage
from registry_core.events import Event, RecordedEvent
from registry_core.events.evidence import ArtifactScanned, EvidenceAttached, VulnerabilityFound
from registry_core.events.governance import PolicyActivated
from registry_core.events.lifecycle import VersionReturnedToDraft
from registry_core.events.promotions import (
    PolicyEvaluated,
    PromotionApproved,
    PromotionClosed,
    PromotionOpened,
    PromotionRefused,
    PromotionRequested,
    ReviewOpened,
)
from registry_core.events.versions import ArtifactStored, MetadataAmended, VersionRegistered
from registry_core.handlers import Emit, StartJob, load
from registry_core.store.memory import MemoryEventStore
from registry_core.store.model import MAX_BODY
from registry_core.values import (
    EvidenceType,
    File,
    Metadata,
    Mitigation,
    RiskTier,
    State,
    UseContext,
    promotion_stream,
    sha256_digest,
)
from registry_core.version import Version
from support import NOW, MemoryReader, record

REF, PROMOTION = "prompt:answer@1.0.0", "p1"
DIGEST = sha256_digest(b"template")
FILE = File(name="template.txt", digest=DIGEST, size=8)
CONTEXT = UseContext(business_function="support")
METADATA = Metadata(
    owner="dana", backup_owner="mia", escalation="on-call", purpose="answers", allowed_uses=("support",),
    risk_tier=RiskTier.LOW,
)  # fmt: skip
MITIGATED = {"mitigations": (Mitigation(risk="wrong answers", control="a weekly sample"),)}
RED_TEAM = EvidenceAttached(
    ref=REF, evidence_type=EvidenceType.RED_TEAM, digest=sha256_digest(b"broken"), media_type="text/plain", size=6,
    subject_digest=DIGEST, attached_by="eve",
)  # fmt: skip


class Registry:
    """A store in memory in which handlers' effects are carried out."""

    def __init__(self) -> None:
        self.store = MemoryEventStore()
        self.reader = MemoryReader(self.store)
        self.documents: dict[str, bytes] = {}

    async def put(self, data: bytes) -> str:
        self.documents[sha256_digest(data)] = data
        return sha256_digest(data)

    async def given(self, stream: str, *events: Event) -> RecordedEvent:
        return (await record(self.store, stream, *events))[-1]

    async def when(self, handler: Any, event: Any) -> list[Event]:
        made: list[Event] = []
        for effect in await handler(event, self.reader):
            if isinstance(effect, StartJob):
                return await self.when(lambda job, reader: auditing(self)(job.payload, reader), effect)
            assert isinstance(effect, Emit)
            for data in effect.events:
                assert len(data.encode()) < MAX_BODY
            await record(self.store, effect.stream, *effect.events)
            made += effect.events
        return made

    async def promotion(self) -> PromotionStream:
        return await load(self.reader, PromotionStream(), promotion_stream(PROMOTION))

    async def changed(self) -> str | None:
        return what_changed(await load(self.reader, Version(), REF), await self.promotion(), NOW)


@pytest.fixture
async def in_review() -> Registry:
    registry, raw = Registry(), baseline_pack()
    version = load_pack(raw).document.version
    activated = PolicyActivated(
        name="baseline", version=version, digest=sha256_digest(raw), document=raw.decode(), activated_by="mia"
    )
    await registry.given("policy:baseline", activated)
    registered = VersionRegistered(ref=REF, digest=DIGEST, files=(FILE,), metadata=METADATA, registered_by="ci")
    scanned = ArtifactScanned(
        ref=REF, file=FILE.name, digest=DIGEST, scanner="s", verdict="clean", read_completely=True
    )
    await registry.given(REF, registered, ArtifactStored(ref=REF, file=FILE, uri="file:///x"), scanned)
    requested = PromotionRequested(
        promotion=PROMOTION, ref=REF, digest=DIGEST, context=CONTEXT, environment="production", requested_by="ci"
    )
    await registry.given(promotion_stream(PROMOTION), requested)
    opened = await registry.given(REF, PromotionOpened(ref=REF, promotion=PROMOTION))
    await registry.when(audit_open_promotions, opened)
    state = (await registry.promotion()).promotion
    assert state is not None
    assert state.stage is Stage.IN_REVIEW
    return registry


async def test_nothing_changed_so_reviewers_may_approve(in_review: Registry) -> None:
    assert await in_review.changed() is None


async def test_an_audit_again_without_a_change_voids_no_reviews(in_review: Registry) -> None:
    again = (await in_review.store.read_streams([REF]))[REF][-1]
    assert await in_review.when(audit_open_promotions, again) == []


@pytest.mark.parametrize(
    "change",
    [
        MetadataAmended(ref=REF, metadata=METADATA.model_copy(update={"prohibited_uses": ("support",)})),
        MetadataAmended(ref=REF, metadata=METADATA.model_copy(update={"risk_tier": RiskTier.HIGH})),
        RED_TEAM,
    ],
)
async def test_a_change_under_the_reviewers_bars_approval_until_it_is_audited(
    in_review: Registry, change: Event
) -> None:
    event = await in_review.given(REF, change)
    assert await in_review.changed() == "evidence, metadata or findings changed after the audit"
    assert await in_review.when(audit_open_promotions, event)
    state = (await in_review.promotion()).promotion
    assert state is not None
    assert state.reviews == ()


async def test_a_lowered_risk_tier_does_not_lower_who_is_asked(in_review: Registry) -> None:
    raised = MetadataAmended(ref=REF, metadata=METADATA.model_copy(update={"risk_tier": RiskTier.HIGH, **MITIGATED}))
    await in_review.when(audit_open_promotions, await in_review.given(REF, raised))
    lowered = MetadataAmended(ref=REF, metadata=METADATA)
    assert await in_review.when(audit_open_promotions, await in_review.given(REF, lowered))
    state = (await in_review.promotion()).promotion
    assert state is not None
    assert state.stage is Stage.IN_REVIEW
    assert set(state.roles) == {"platform", "product", "security"}


async def test_nobody_approves_while_a_check_is_under_way(in_review: Registry) -> None:
    sbom = RED_TEAM.model_copy(update={"evidence_type": EvidenceType.SBOM})
    await in_review.given(REF, sbom)
    assert await in_review.changed() == "checks are under way: matching of the SBOM"


async def test_an_approval_that_a_change_overtook_takes_no_effect(in_review: Registry) -> None:
    opened = (await in_review.store.read_streams([promotion_stream(PROMOTION)]))[promotion_stream(PROMOTION)][-1]
    await in_review.when(mark_candidate, opened)
    await in_review.given(REF, RED_TEAM)
    approved = PromotionApproved(
        promotion=PROMOTION, ref=REF, digest=DIGEST, context=CONTEXT, environment="production",
        policy_digest=DIGEST, expires_at=NOW + timedelta(days=90), decision_digest=DIGEST, envelope={},
    )  # fmt: skip
    event = (await record(MemoryEventStore(), promotion_stream(PROMOTION), approved))[0]
    made = await in_review.when(mark_outcome, event)
    cause = f"promotion {PROMOTION}: a change overtook its approval"
    assert made == [
        PromotionClosed(ref=REF, promotion=PROMOTION, outcome="refused"),
        VersionReturnedToDraft(ref=REF, cause=cause),
    ]
    assert (await load(in_review.reader, Version(), REF)).state is State.DRAFT


async def audited(registry: Registry, ref: str, *checks: Event) -> list[Event]:
    await registry.given(ref, *checks)
    promotion = promotion_stream("p2")
    requested = PromotionRequested(
        promotion="p2", ref=ref, digest=DIGEST, context=CONTEXT, environment="production", requested_by="ci"
    )
    await registry.given(promotion, requested)
    return await registry.when(
        audit_open_promotions, await registry.given(ref, PromotionOpened(ref=ref, promotion="p2"))
    )


async def test_a_version_with_the_most_files_is_decided_and_its_facts_can_be_replayed(in_review: Registry) -> None:
    ref = "prompt:large@1.0.0"
    files = [File(name=f"{n:04}-{'n' * 150}", digest=DIGEST, size=8) for n in range(1000)]
    scans = [
        ArtifactScanned(ref=ref, file=f.name, digest=DIGEST, scanner="s", verdict="clean", read_completely=True)
        for f in files
    ]
    stored = [ArtifactStored(ref=ref, file=f, uri="file:///x") for f in files]
    registered = VersionRegistered(ref=ref, digest=DIGEST, files=tuple(files), metadata=METADATA, registered_by="ci")
    evaluated, opened = await audited(in_review, ref, registered, *stored, *scans)
    assert isinstance(evaluated, PolicyEvaluated)
    assert isinstance(opened, ReviewOpened)
    facts = Facts.model_validate_json(in_review.documents[str(evaluated.facts_digest)])
    assert len(facts.version.files) == 1000
    assert evaluate(load_pack(baseline_pack()), facts).passed
    state = await load(in_review.reader, PromotionStream(), promotion_stream("p2"))
    assert what_changed(await load(in_review.reader, Version(), ref), state, NOW + timedelta(hours=1)) is None
    await in_review.given(ref, RED_TEAM.model_copy(update={"ref": ref}))
    assert what_changed(await load(in_review.reader, Version(), ref), state, NOW) is not None


@pytest.mark.parametrize("count", [900, 5000])
async def test_thousands_of_findings_end_in_a_refusal(in_review: Registry, count: int) -> None:
    ref = "code:vulnerable@1.0.0"
    found = [
        VulnerabilityFound(ref=ref, advisory=f"CVE-2026-{n}", component=f"pkg:pypi/{'p' * 80}@{n}", severity="critical")
        for n in range(count)
    ]
    registered = VersionRegistered(ref=ref, digest=DIGEST, files=(FILE,), metadata=METADATA, registered_by="ci")
    _, refused = await audited(in_review, ref, registered, *found)
    assert isinstance(refused, PromotionRefused)
    assert refused.reasons
