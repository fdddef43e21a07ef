"""What was audited is what may be approved: nothing changes under the reviewers (mission E5)."""

from datetime import timedelta
from typing import Any

import pytest
from hallmark_approval.handlers import audit_open_promotions, mark_candidate, mark_outcome
from hallmark_approval.policy import baseline_pack, load_pack
from hallmark_approval.process import PromotionStream, what_changed
from hallmark_approval.promotion import Stage
from registry_core.events import Event, RecordedEvent
from registry_core.events.evidence import ArtifactScanned, EvidenceAttached
from registry_core.events.governance import PolicyActivated
from registry_core.events.lifecycle import VersionReturnedToDraft
from registry_core.events.promotions import PromotionApproved, PromotionClosed, PromotionOpened, PromotionRequested
from registry_core.events.versions import ArtifactStored, MetadataAmended, VersionRegistered
from registry_core.handlers import Emit, load
from registry_core.store.memory import MemoryEventStore
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

    async def given(self, stream: str, *events: Event) -> RecordedEvent:
        return (await record(self.store, stream, *events))[-1]

    async def when(self, handler: Any, event: RecordedEvent) -> list[Event]:
        made: list[Event] = []
        for effect in await handler(event, self.reader):
            assert isinstance(effect, Emit)
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
