"""Given events of every kind, when they are folded, then the timeline tells them in sentences."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hallmark_console.projections.external_drift import EXTERNAL_DRIFT
from hallmark_console.projections.sentences import LIMIT, describe
from hallmark_console.projections.version_timeline import VERSION_TIMELINE
from pydantic import JsonValue
from registry_core.events import Event
from registry_core.events.aliases import AliasMoved, AliasRemoved
from registry_core.events.governance import ServedWindowRecorded
from registry_core.events.lifecycle import OwnerWarned, ProvisioningFailed, VersionApproved, VersionDeprecated
from registry_core.events.promotions import PolicyEvaluated, PromotionRequested, ReviewOpened
from registry_core.events.sources import Difference, ExternalDriftDetected, ExternalVersionImported
from registry_core.events.versions import DependantAdded, VersionAdded
from registry_core.store.memory import MemoryEventStore
from support import NOW, record
from support_portfolio import (
    CREDIT,
    HOSTILE,
    assessed,
    digest,
    matched,
    portfolio,
    projected,
    provenance,
    registered,
    scanned,
    vulnerability,
)

REF = "model:credit-risk@1.0.0"
REQUESTED = PromotionRequested(
    promotion="p-1", ref=REF, digest=digest(REF), context=CREDIT, environment="production", requested_by="maria"
)

ABOUT = {"asset": "model:credit-risk", "alias": "champion"}
REMOVED = AliasRemoved(**ABOUT, before=REF, reason="over", removed_by="lee")


def moved(before: str | None) -> AliasMoved:
    return AliasMoved(**ABOUT, before=before, after=REF, reason="best", moved_by="lee")


def drift(aspect: str, before: JsonValue, after: JsonValue, ref: str | None = REF) -> ExternalDriftDetected:
    found = Difference(aspect=aspect, before=before, after=after)
    return ExternalDriftDetected(source="nightly", object="credit-risk", difference=found, ref=ref)


IMPORTED = ExternalVersionImported(source="nightly", object="credit-risk", version="3", ref=REF, digest=digest(REF))
COMMIT = IMPORTED.model_copy(
    update={"source": "hub", "object": "org/risk", "version": "0123456789abcdef" * 2 + "0" * 8}
)


@pytest.mark.parametrize(
    ("event", "sentence", "tone"),
    [
        (
            drift("version 3 stage", "Staging", "Production"),
            "In nightly credit-risk: version 3 stage went from Staging to Production, and nobody announced it",
            "bad",
        ),
        (
            drift("alias champion", "3", None),
            "In nightly credit-risk: alias champion, which was 3, is gone, and nobody announced it",
            "bad",
        ),
        (
            drift("version 3", {"source": "s3://x"}, None),
            "In nightly credit-risk: version 3 is gone, and nobody announced it",
            "bad",
        ),
        (
            drift("private", None, after=True),
            "In nightly credit-risk: private became true, and nobody announced it",
            "bad",
        ),
        (IMPORTED, "Imported from nightly: credit-risk, version 3", "neutral"),
        (COMMIT, "Imported from hub: org/risk, commit 0123456789ab", "neutral"),
        (registered(REF, ("a", "b")), "Registered as a draft with 2 files", "neutral"),
        (scanned(REF), "model.safetensors scanned: clean", "good"),
        (scanned(REF, "m.pt", "malicious"), "m.pt scanned: malicious", "bad"),
        (
            scanned(REF).model_copy(update={"read_completely": False}),
            "model.safetensors scanned: clean, not read completely",
            "bad",
        ),
        (matched(REF), "SBOM matched: 212 components, 0 vulnerable", "good"),
        (matched(REF).model_copy(update={"problem": "not JSON"}), "SBOM could not be used: not JSON", "bad"),
        (vulnerability(REF, "GHSA-1", "pkg:a"), "GHSA-1 (critical) found in pkg:a, fixed in 2.6.0", "bad"),
        (provenance(REF, verified=False), "Provenance not verified: the subject's digest is not this version's", "bad"),
        (assessed(REF, NOW), "Evaluation classifier-baseline passed: 4 of 4 metrics within thresholds", "good"),
        (REQUESTED, "Promotion to production for credit-decisions/confidential/eu requested", "neutral"),
        (
            ReviewOpened(promotion="p-1", ref=REF, roles=("platform", "product", "security"), context=CREDIT),
            "Review opened for platform, product and security",
            "neutral",
        ),
        (
            VersionApproved(
                ref=REF, promotion="p-1", context=CREDIT, environment="production",
                expires_at=datetime(2026, 9, 1, tzinfo=UTC), decision_digest=digest("d"),
            ),
            "Approved for credit-decisions/confidential/eu in production until 2026-09-01",
            "good",
        ),
        (
            VersionDeprecated(ref=REF, replacement="model:credit-risk@1.1.0", cause="better recall"),
            "Deprecated, replaced by model:credit-risk@1.1.0: better recall",
            "bad",
        ),
        (
            ProvisioningFailed(ref=REF, promotion="p-1", target="kserve", reason="refused"),
            "Provisioning to kserve failed: refused",
            "bad",
        ),
        (
            OwnerWarned(ref=REF, subject="approval p-1", owner="maria", acts_at=NOW),
            "maria was warned: approval p-1",
            "neutral",
        ),
    ],
)  # fmt: skip
def test_an_event_is_told_in_one_sentence(event: Event, sentence: str, tone: str) -> None:
    assert describe(event) == (sentence, tone)


async def test_every_event_of_a_portfolio_has_a_sentence_of_its_own() -> None:
    told = [describe(event)[0] for _, event, _, _ in portfolio(NOW)]
    assert told
    assert not [text for text in told if text.startswith("io.hallmark")]


async def test_promotions_and_dependants_are_part_of_the_versions_timeline() -> None:
    rows = await projected(
        VERSION_TIMELINE,
        (REF, registered(REF)),
        ("promotion:p-1", REQUESTED),
        ("asset:model:credit-risk", DependantAdded(dependant="model:other@1.0.0", depends_on=REF)),
    )
    assert [(key, row["ref"], row["promotion"]) for key, row in rows.items()] == [
        ("0", REF, None), ("1", REF, "p-1"), ("2", REF, None),
    ]  # fmt: skip


async def test_what_is_said_elsewhere_is_not_said_twice() -> None:
    window = ServedWindowRecorded(
        deployment="d", environment="production", start=NOW, end=NOW + timedelta(minutes=1), ref=REF, state="approved",
        approved=True, requests=1, customers=(),
    )  # fmt: skip
    added = VersionAdded(ref=REF, digest=digest(REF))
    assert await projected(VERSION_TIMELINE, ("asset:model:credit-risk", added), ("serving:d", window)) == {}


async def test_a_row_keeps_both_times_actor_and_type_but_no_bulk() -> None:
    store = MemoryEventStore()
    evaluated = PolicyEvaluated(
        promotion="p-1", ref=REF, policy="baseline", policy_digest=digest("b"), passed=True, results=(),
        evidence_digests=(), facts={"large": "x" * 1000},
    )  # fmt: skip
    (event,) = await record(store, "promotion:p-1", evaluated, actor="service:approval")
    row = VERSION_TIMELINE.evolve(None, event)
    assert row is not None
    assert (row["actor"], row["type"]) == ("service:approval", "io.hallmark.promotion.policy-evaluated.v1")
    assert (row["occurred_at"], row["recorded_at"]) == (NOW.isoformat(), event.recorded_at.isoformat())
    assert (row["details"]["policy"], "facts" in row["details"]) == ("baseline", False)


async def test_an_erased_event_leaves_its_place_in_the_timeline() -> None:
    (event,) = await record(MemoryEventStore(), REF, registered(REF, purpose="secret"))
    row = VERSION_TIMELINE.evolve(None, replace(event, body=None, _decoded=[]))
    assert row is not None
    assert (row["sentence"], row["ref"], row["details"]) == ("VersionRegistered: its content was erased", REF, {})


async def test_an_event_of_an_unknown_type_is_told_as_such() -> None:
    (event,) = await record(MemoryEventStore(), REF, registered(REF))
    unknown = replace(event, type="io.hallmark.future.v9", body=b'{"a":1}', _decoded=[])
    row = VERSION_TIMELINE.evolve(None, unknown)
    assert row is not None
    assert "io.hallmark.future.v9" in row["sentence"]
    assert list(VERSION_TIMELINE.keys(replace(unknown, stream=f"future:{uuid4()}"))) == []


def test_a_long_sentence_is_cut() -> None:
    text, _ = describe(VersionDeprecated(ref=REF, cause=HOSTILE * 100))
    assert len(text) == LIMIT
    assert text.endswith("…")


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (moved(before=None), "Became champion: best"),
        (moved(before="model:credit-risk@0.9.0"), "Became champion in place of model:credit-risk@0.9.0: best"),
        (REMOVED, "Is champion no longer: over"),
    ],
)
async def test_aliases_are_part_of_the_timeline_of_the_version_they_point_to(event: Event, sentence: str) -> None:
    (recorded,) = await record(MemoryEventStore(), "aliases:model:credit-risk", event)
    row = VERSION_TIMELINE.evolve(None, recorded)
    assert (row["ref"], row["sentence"]) == (REF, sentence)


STREAM = "external:nightly:credit-risk"


async def test_drift_is_told_on_the_version_that_it_concerns_and_listed_with_all_other() -> None:
    known = drift("alias champion", "1", "2")
    unknown = drift("description", "a", "b", ref=None)
    timeline = await projected(VERSION_TIMELINE, (STREAM, known), (STREAM, unknown))
    assert [row["ref"] for row in timeline.values()] == [REF]
    listed = await projected(EXTERNAL_DRIFT, (STREAM, known), (STREAM, unknown))
    assert [(row["aspect"], row["before"], row["after"], row["ref"]) for row in listed.values()] == [
        ("alias champion", "1", "2", REF),
        ("description", "a", "b", None),
    ]
