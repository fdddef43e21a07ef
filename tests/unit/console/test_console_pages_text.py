"""What pages show, before it is HTML."""

from datetime import UTC, datetime, timedelta

import pytest
from hallmark_console.live import messages_of
from hallmark_console.portfolio import attention
from hallmark_console.projections.version_overview import VERSION_OVERVIEW
from hallmark_console.rendering import exact, relative, short_digest, size, version_path
from hallmark_console.session import local_path
from hallmark_console.version_page import approvals, checks, lineage, standing_refusal
from hypothesis import given
from hypothesis import strategies as st
from registry_core.events import Event
from registry_core.handlers import fold
from registry_core.store.memory import MemoryEventStore
from registry_core.values import EvidenceType
from registry_core.version import Version
from support import NOW, record
from support_portfolio import assessed, evidence, matched, portfolio, projected, provenance, registered, scanned, stored

REF = "model:credit-risk@1.0.0"


@pytest.mark.parametrize(
    ("offset", "text"),
    [
        (timedelta(0), "just now"),
        (timedelta(seconds=30), "in a moment"),
        (timedelta(seconds=-59), "just now"),
        (timedelta(minutes=-1), "1 minute ago"),
        (timedelta(hours=-23, minutes=-59), "23 hours ago"),
        (timedelta(days=6), "in 6 days"),
        (timedelta(days=-800), "2 years ago"),
    ],
)
def test_a_time_is_told_relative_to_now(offset: timedelta, text: str) -> None:
    assert relative(NOW + offset, NOW) == text


@given(st.text() | st.datetimes().map(lambda at: at.isoformat()))
def test_no_time_breaks_a_page(text: str) -> None:
    assert isinstance(relative(text if "T" not in text else f"{text}+00:00", NOW), str)
    assert isinstance(exact(f"{text}+00:00"), str)
    assert exact("0001-12-31T10:00:00+00:00 BC") == "0001-12-31T10:00:00+00:00 BC"


@pytest.mark.parametrize("path", ["/", "/reviews", "/versions/model:a@1.0.0?before=3"])
def test_a_path_of_this_site_is_followed_after_signing_in(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path", ["https://evil.example", "//evil.example", "/\\evil.example", "", "javascript:alert(1)", "/a\nb", "/\tx"]
)
def test_no_path_leads_to_another_site(path: str) -> None:
    assert local_path(path) == "/"


def test_digests_sizes_and_paths_are_short_and_exact() -> None:
    assert short_digest("sha256:" + "ab" * 32) == "sha256:abababababab…"
    assert [size(None), size(12), size(90_868_376)] == ["size unknown", "12 bytes", "90.9 MB"]
    assert version_path("model:a@1.0.0+b/c") == "/versions/model:a@1.0.0%2Bb%2Fc"


def test_rows_of_one_event_share_the_id_that_stands_on_the_last() -> None:
    rows = [{"key": key, "log_index": index} for key, index in (("a", 3), ("b", 7), ("c", 7), ("d", 9))]
    assert [message.id for message in messages_of(rows)] == [3, None, 7, 9]
    assert messages_of([]) == []


async def test_attention_names_what_is_urgent_first() -> None:
    now = datetime.now(UTC)
    rows = await projected(VERSION_OVERVIEW, *((stream, event) for stream, event, _, _ in portfolio(now)))
    items = attention([{**row, "unowned": row["owner"] is None} for row in rows.values()], now)
    assert [(item.kind, item.urgency) for item in items] == [
        ("Vulnerable", "high"), ("Malicious file", "high"), ("Clock running", "high"), ("Unowned", "medium"),
        ("Approval expires", "medium"),
    ]  # fmt: skip
    assert items[2].who == "wei"
    assert attention([], now) == []


async def version_after(*events: Event) -> Version:
    store = MemoryEventStore()
    return fold(Version(), await record(store, REF, registered(REF), *events))


async def test_a_draft_without_anything_has_failed_nothing_and_passed_nothing() -> None:
    assert {check.outcome for check in checks(await version_after())} == {"none"}
    assert all(check.fix for check in checks(await version_after()))


async def test_checks_wait_for_the_newest_evidence() -> None:
    given_evidence = [evidence(REF, kind) for kind in EvidenceType]
    waiting = await version_after(stored(REF), *given_evidence)
    assert {check.outcome for check in checks(waiting)} == {"wait"}
    passed = await version_after(
        stored(REF), *given_evidence, scanned(REF), matched(REF), provenance(REF), assessed(REF, NOW)
    )
    assert {check.outcome for check in checks(passed)} == {"pass"}
    failed = await version_after(
        stored(REF), *given_evidence, scanned(REF, "model.safetensors", "review"),
        matched(REF).model_copy(update={"problem": "not JSON"}), provenance(REF, verified=False),
        assessed(REF, NOW, recall=0.1),
    )  # fmt: skip
    assert {check.outcome for check in checks(failed)} == {"fail"}


async def test_an_expired_approval_is_not_shown_as_active() -> None:
    store = MemoryEventStore()
    entries = [e for e in portfolio(NOW) if e[0] == "model:credit-risk@1.0.0"]
    events = [event for entry in entries for event in await record(store, entry[0], entry[1])]
    version = fold(Version(), events)
    assert [shown.active for shown in approvals(version, NOW)] == [True]
    assert [shown.active for shown in approvals(version, NOW + timedelta(days=6))] == [False]


def test_the_lineage_panel_lists_both_ways_without_the_version_itself() -> None:
    nodes = [{"ref": REF, "up": 0, "down": 0}, {"ref": "dataset:d@1.0.0", "up": 2, "down": None}]
    nodes.append({"ref": "adapter:a@1.0.0", "up": None, "down": 1})
    above, own = {"dependant": "model:base@1.0.0"}, {"dependant": REF}
    shown = lineage({"ref": REF, "nodes": nodes, "outdated": [own, above], "complete": False})
    assert [(node["ref"], node["steps"]) for node in shown.made_of] == [("dataset:d@1.0.0", 2)]
    assert [(node["ref"], node["steps"]) for node in shown.used_by] == [("adapter:a@1.0.0", 1)]
    assert (shown.outdated, shown.complete) == ([above], False)


def test_a_refusal_stands_only_while_it_is_the_newest_word() -> None:
    refused, review = {"status": "refused"}, {"status": "in review"}
    assert standing_refusal([refused, review]) == refused
    assert standing_refusal([review, refused]) is None
    assert standing_refusal([]) is None
