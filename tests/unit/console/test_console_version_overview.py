"""Given events of a version, when they are folded, then its row in the portfolio says …"""

from datetime import UTC, datetime

import pytest
from hallmark_console.projections.version_overview import VERSION_OVERVIEW, scan_verdict
from hypothesis import given
from hypothesis import strategies as st
from registry_core.events import Event
from registry_core.events.evidence import VulnerabilityResolved
from registry_core.events.lifecycle import (
    ApprovalExpired,
    ApprovalVoided,
    RemediationClockStarted,
    RemediationClockStopped,
    VersionApproved,
    VersionBecameCandidate,
    VersionDeprecated,
    VersionReinstated,
    VersionRetired,
    VersionReturnedToDraft,
    VersionSuspended,
)
from registry_core.events.promotions import PromotionClosed, PromotionOpened
from registry_core.events.versions import MetadataAmended, VersionAdded
from registry_core.projections import Row
from registry_core.values import EvidenceType, Metadata, Severity
from support import NOW
from support_portfolio import (
    CREDIT,
    assessed,
    digest,
    evidence,
    matched,
    projected,
    provenance,
    registered,
    scanned,
    stored,
    vulnerability,
)

REF = "model:credit-risk@1.0.0"
LATER = datetime(2026, 9, 1, tzinfo=UTC)
CLOCK = RemediationClockStarted(ref=REF, finding="GHSA-1", owner="wei", due=LATER, escalate_to="ml-risk")


def approved(promotion: str = "p-1") -> VersionApproved:
    return VersionApproved(
        ref=REF, promotion=promotion, context=CREDIT, environment="production", expires_at=LATER,
        decision_digest=digest(promotion),
    )  # fmt: skip


async def row_after(*events: Event, files: tuple[str, ...] = ("model.safetensors",)) -> Row:
    rows = await projected(VERSION_OVERVIEW, (REF, registered(REF, files, owner="maria")), *((REF, e) for e in events))
    return rows[REF]


async def test_a_registered_version_is_a_draft_about_which_nothing_is_claimed() -> None:
    row = await row_after()
    assert (row["ref"], row["kind"], row["name"], row["version"]) == (REF, "model", "credit-risk", "1.0.0")
    assert (row["state"], row["owner"], row["digest"], row["files"]) == ("draft", "maria", digest(REF), 1)
    unclaimed = ("scan_verdict", "sbom_matched", "provenance_verified", "last_promotion", "risk_tier")
    assert [row[name] for name in unclaimed] == [None] * len(unclaimed)
    assert (row["open_critical"], row["evaluations_passed"], row["sbom_present"], row["approvals"]) == (0, 0, False, [])


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (VersionBecameCandidate(ref=REF, promotion="p-1"), "candidate"),
        (approved(), "approved"),
        (VersionSuspended(ref=REF, cause="leak"), "suspended"),
        (VersionReinstated(ref=REF, cause="mended"), "approved"),
        (VersionDeprecated(ref=REF, replacement="model:credit-risk@1.1.0", cause="newer"), "deprecated"),
        (VersionRetired(ref=REF, cause="unused"), "retired"),
        (VersionReturnedToDraft(ref=REF, cause="rejected"), "draft"),
    ],
)
async def test_the_state_follows_the_lifecycle(event: Event, state: str) -> None:
    assert (await row_after(VersionBecameCandidate(ref=REF, promotion="p-0"), event))["state"] == state


async def test_the_row_carries_the_index_of_its_last_event() -> None:
    elsewhere = ("asset:model:credit-risk", VersionAdded(ref=REF, digest=digest(REF)))
    rows = await projected(VERSION_OVERVIEW, (REF, registered(REF)), elsewhere)
    assert rows[REF]["log_index"] == 0
    assert (await row_after(stored(REF)))["log_index"] == 1


async def test_amended_metadata_replaces_owner_and_risk() -> None:
    row = await row_after(MetadataAmended(ref=REF, metadata=Metadata(owner="tomas", risk_tier="high", purpose="p")))
    assert (row["owner"], row["risk_tier"], row["purpose"]) == ("tomas", "high", "p")


async def test_a_scan_is_clean_only_when_every_file_was_read_whole() -> None:
    two = ("a.safetensors", "b.safetensors")
    half = await row_after(scanned(REF, "a.safetensors"), files=two)
    whole = await row_after(scanned(REF, "a.safetensors"), scanned(REF, "b.safetensors"), files=two)
    cut = scanned(REF, "b.safetensors").model_copy(update={"read_completely": False})
    partly = await row_after(scanned(REF, "a.safetensors"), cut, files=two)
    assert [half["scan_verdict"], whole["scan_verdict"], partly["scan_verdict"]] == [None, "clean", "review"]


@given(st.dictionaries(st.text(), st.sampled_from(["clean", "review", "malicious"])), st.integers(0, 5))
def test_the_worst_verdict_wins(scans: dict[str, str], files: int) -> None:
    verdict = scan_verdict(scans, files)
    if "malicious" in scans.values():
        assert verdict == "malicious"
    elif "review" in scans.values():
        assert verdict == "review"
    else:
        assert (verdict == "clean") == (len(scans) >= files and bool(scans))


async def test_a_new_sbom_or_statement_waits_for_its_own_check() -> None:
    row = await row_after(
        evidence(REF, EvidenceType.SBOM), matched(REF), evidence(REF, EvidenceType.PROVENANCE), provenance(REF)
    )
    assert (row["sbom_present"], row["sbom_matched"], row["provenance_verified"]) == (True, True, True)
    again = await row_after(
        matched(REF), provenance(REF), evidence(REF, EvidenceType.SBOM), evidence(REF, EvidenceType.PROVENANCE)
    )
    assert (again["sbom_present"], again["sbom_matched"], again["provenance_verified"]) == (True, None, None)


async def test_an_sbom_that_cannot_be_used_is_not_matched() -> None:
    broken = matched(REF).model_copy(update={"problem": "not JSON"})
    assert (await row_after(evidence(REF, EvidenceType.SBOM), broken))["sbom_matched"] is False


async def test_the_newest_assessment_of_a_suite_counts() -> None:
    row = await row_after(assessed(REF, NOW, recall=0.6), assessed(REF, NOW), assessed(REF, NOW, 0.1, "other"))
    assert (row["evaluations_passed"], row["evaluations_failed"]) == (1, 1)
    assert row["evaluations"] == {"classifier-baseline": True, "other": False}


Change = tuple[bool, str, str, Severity]
changes = st.lists(
    st.tuples(st.booleans(), st.sampled_from("ab\x00"), st.sampled_from("xy"), st.sampled_from(list(Severity)))
)


@given(changes)
async def test_open_vulnerabilities_are_those_found_and_not_resolved(made: list[Change]) -> None:
    expected: dict[tuple[str, str], Severity] = {}
    events: list[Event] = []
    for found, advisory, component, severity in made:
        if found:
            expected[advisory, component] = severity
            events.append(vulnerability(REF, advisory, component, severity))
        else:
            expected.pop((advisory, component), None)
            events.append(VulnerabilityResolved(ref=REF, advisory=advisory, component=component, reason="updated"))
    row = await row_after(*events)
    severities = list(expected.values())
    assert len(row["vulnerabilities"]) == len(expected)
    assert row["open_critical"] == severities.count(Severity.CRITICAL)
    assert row["open_high"] == severities.count(Severity.HIGH)


async def test_approvals_stay_until_they_expire_or_are_voided() -> None:
    row = await row_after(approved("p-1"), approved("p-2"), approved("p-3"))
    assert [a["promotion"] for a in row["approvals"]] == ["p-1", "p-2", "p-3"]
    assert row["approvals"][0] == {
        "promotion": "p-1", "context": "credit-decisions/confidential/eu", "environment": "production",
        "expires_at": LATER.isoformat(),
    }  # fmt: skip
    ended = (
        ApprovalExpired(ref=REF, promotion="p-1", context=CREDIT, expired_at=LATER),
        ApprovalVoided(ref=REF, promotion="p-2", cause="new prompt"),
    )
    left = await row_after(approved("p-1"), approved("p-2"), approved("p-3"), *ended)
    assert [a["promotion"] for a in left["approvals"]] == ["p-3"]


async def test_a_clock_runs_until_it_is_stopped() -> None:
    assert [c["finding"] for c in (await row_after(CLOCK, CLOCK))["clocks"]] == ["GHSA-1"]
    stopped = RemediationClockStopped(ref=REF, finding="GHSA-1", cause="resolved")
    assert (await row_after(CLOCK, stopped))["clocks"] == []


async def test_the_last_promotion_and_its_outcome_are_shown() -> None:
    opened = await row_after(PromotionOpened(ref=REF, promotion="p-1"))
    assert (opened["last_promotion"], opened["last_promotion_outcome"]) == ("p-1", "open")
    closed = await row_after(
        PromotionOpened(ref=REF, promotion="p-1"), PromotionClosed(ref=REF, promotion="p-1", outcome="refused")
    )
    assert (closed["last_promotion"], closed["last_promotion_outcome"]) == ("p-1", "refused")


async def test_events_before_registration_make_no_row() -> None:
    assert await projected(VERSION_OVERVIEW, (REF, stored(REF)), (REF, approved())) == {}
