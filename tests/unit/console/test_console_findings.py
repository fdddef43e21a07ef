"""Given findings and clocks, when they are folded, then what is open says …"""

from datetime import timedelta

from hallmark_console.projections.findings import FINDINGS
from registry_core.events import Event
from registry_core.events.evidence import Finding, VulnerabilityResolved
from registry_core.events.lifecycle import RemediationClockStarted, RemediationClockStopped
from registry_core.projections import Row
from registry_core.values import Severity
from support import NOW
from support_portfolio import PICKLE, projected, scanned, vulnerability

REF = "model:credit-risk@1.0.0"
KEY = f"{REF} GHSA-1"
FILE = f"{REF} file model.safetensors"
CLOCK = RemediationClockStarted(
    ref=REF, finding="GHSA-1", owner="wei", due=NOW + timedelta(days=7), escalate_to="ml-risk"
)


def found(component: str = "pkg:pypi/torch@2.5.1") -> Event:
    return vulnerability(REF, "GHSA-1", component)


def resolved(component: str = "pkg:pypi/torch@2.5.1") -> Event:
    return VulnerabilityResolved(ref=REF, advisory="GHSA-1", component=component, reason="updated")


async def rows_after(*events: Event) -> dict[str, Row]:
    return await projected(FINDINGS, *((REF, event) for event in events))


async def test_a_vulnerability_is_open_with_its_fix() -> None:
    row = (await rows_after(found()))[KEY]
    assert (row["open"], row["kind"], row["severity"], row["component"]) == (
        True, "vulnerability", "critical", "pkg:pypi/torch@2.5.1",
    )  # fmt: skip
    assert (row["fixed_in"], row["fix"], row["resolved_at"]) == ("2.6.0", "update to 2.6.0", None)


async def test_an_advisory_stays_open_until_its_last_component_is_mended() -> None:
    half = (await rows_after(found("a"), found("b"), resolved("a")))[KEY]
    assert (half["open"], half["components"]) == (True, ["b"])
    whole = (await rows_after(found("a"), found("b"), resolved("a"), resolved("b")))[KEY]
    assert (whole["open"], whole["resolution"]) == (False, "updated")


async def test_a_finding_that_comes_back_is_open_anew() -> None:
    row = (await rows_after(found(), resolved(), found()))[KEY]
    assert (row["open"], row["resolution"], row["resolved_at"]) == (True, None, None)


async def test_a_clock_shows_on_its_finding_until_it_stops() -> None:
    running = (await rows_after(found(), CLOCK))[KEY]
    assert (running["clock_owner"], running["clock_escalate_to"]) == ("wei", "ml-risk")
    assert running["clock_due"] == CLOCK.due.isoformat()
    stopped = RemediationClockStopped(ref=REF, finding="GHSA-1", cause="resolved")
    after = (await rows_after(found(), CLOCK, stopped))[KEY]
    assert (after["clock_owner"], after["clock_due"], after["open"]) == (None, None, True)


async def test_a_clock_on_something_unknown_is_shown_for_itself() -> None:
    row = (await rows_after(CLOCK))[KEY]
    assert (row["kind"], row["finding"], row["open"], row["severity"]) == ("remediation", "GHSA-1", True, "unknown")
    stopped = RemediationClockStopped(ref=REF, finding="GHSA-1", cause="mended")
    assert (await rows_after(CLOCK, stopped))[KEY]["open"] is False


async def test_a_malicious_file_is_critical_whatever_its_findings_say() -> None:
    mild = Finding(rule="r", severity=Severity.LOW, location="l", message="m", fix="f")
    row = (await rows_after(scanned(REF, "model.safetensors", "malicious", mild, PICKLE)))[FILE]
    assert (row["severity"], row["open"], row["fix"]) == ("critical", True, "f")
    assert [detail["message"] for detail in row["details"]] == ["m", PICKLE.message]


async def test_an_unknown_severity_does_not_hide_a_higher_one() -> None:
    unknown = Finding(rule="r", severity=Severity.UNKNOWN, location="l", message="m", fix="f")
    high = Finding(rule="r", severity=Severity.HIGH, location="l", message="m", fix="f")
    row = (await rows_after(scanned(REF, "model.safetensors", "review", unknown, high)))[FILE]
    assert row["severity"] == "high"


async def test_a_clean_scan_closes_what_an_earlier_one_opened_and_opens_nothing() -> None:
    assert await rows_after(scanned(REF)) == {}
    row = (await rows_after(scanned(REF, "model.safetensors", "review"), scanned(REF)))[FILE]
    assert (row["open"], row["resolution"]) == (False, "scanned again: clean")


async def test_a_file_not_read_whole_is_never_passed_over() -> None:
    cut = scanned(REF).model_copy(update={"read_completely": False})
    row = (await rows_after(cut))[FILE]
    assert (row["open"], row["summary"]) == (True, "clean, not read completely")


async def test_resolving_what_was_never_found_makes_no_row() -> None:
    assert await rows_after(resolved()) == {}
