"""The leaf of an event and its record for exports."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_core.events.base import RecordedEvent
from registry_core.proofs.canonical import canonical_json, from_base64, parse_json, to_base64
from registry_core.proofs.envelope import from_record, leaf_and_record_bytes, leaf_bytes, to_record

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
TIME = st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
COUNT = st.integers(0, 2**53 - 1)
EVENTS = st.builds(
    RecordedEvent,
    id=st.uuids(),
    stream=TEXT,
    version=COUNT,
    type=TEXT,
    body=st.none() | st.binary(max_size=60),
    body_sha256=st.binary(min_size=32, max_size=32),
    actor=TEXT,
    occurred_at=TIME,
    recorded_at=TIME,
    correlation_id=st.uuids(),
    causation_id=st.none() | st.uuids(),
    traceparent=st.none() | TEXT,
    log_index=COUNT,
    _decoded=st.builds(list),
)


def test_a_leaf_has_exactly_this_form(event_of: Callable[..., RecordedEvent]):
    assert leaf_bytes(event_of(1)).decode() == (
        '{"actor":"alice","body_sha256":"'
        + event_of(1).body_sha256.hex()
        + '","causation_id":"00000000-0000-0000-0000-000000000002",'
        '"correlation_id":"00000000-0000-0000-0000-000000000001",'
        f'"id":"{event_of(1).id}","log_index":1,"occurred_at":"2026-11-21T10:00:01.000000Z",'
        '"recorded_at":"2026-11-21T10:00:01.000007Z","stream":"policy:baseline",'
        '"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",'
        '"type":"io.hallmark.version.registered.v1","version":1}'
    )


@settings(deadline=None)
@given(EVENTS)
def test_leaf_and_record_are_canonical_json(event: RecordedEvent):
    leaf, record = leaf_and_record_bytes(event)
    assert leaf == leaf_bytes(event) == canonical_json(json.loads(leaf))
    assert record == canonical_json(json.loads(record)) == canonical_json(to_record(event))
    assert None not in json.loads(record).values()


@settings(deadline=None)
@given(EVENTS)
def test_a_record_gives_the_event_back(event: RecordedEvent):
    assert from_record(to_record(event)) == event


def test_erasing_the_body_leaves_the_leaf(event_of: Callable[..., RecordedEvent]):
    assert leaf_bytes(event_of(3, body=None)) == leaf_bytes(event_of(3))
    assert "body" not in to_record(event_of(3, body=None))


def test_the_same_moment_in_another_zone_gives_the_same_leaf(event_of: Callable[..., RecordedEvent]):
    there = event_of(0).occurred_at.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert leaf_bytes(event_of(0, occurred_at=there)) == leaf_bytes(event_of(0))


def test_what_has_no_place_or_no_zone_has_no_leaf(event_of: Callable[..., RecordedEvent]):
    with pytest.raises(ValueError, match="not sealed"):
        leaf_bytes(event_of(0, log_index=None))
    with pytest.raises(ValueError, match="no zone"):
        leaf_bytes(event_of(0, occurred_at=datetime(2026, 1, 1)))  # noqa: DTZ001 - the very case


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("id", "6F1D3C0E-0D8B-5D7C-9A55-6D0A5A1F7B11", "canonical form: id"),
        ("id", "x", "badly formed"),
        ("body", "AB==", "canonical form: body"),
        ("body", 7, "'body' is not of type str"),
        ("occurred_at", "2026-11-21T10:00:00Z", "not a time"),
        ("occurred_at", "2026-13-21T10:00:00.000000Z", "month"),
        ("version", True, "'version' is not of type int"),
        ("version", -1, "'version' is not between"),
        ("log_index", 2**53, "'log_index' is not between"),
        ("log_index", None, "'log_index' is missing"),
        ("causation_id", 5, "'causation_id' is not of type str"),
        ("traceparent", None, "canonical form: traceparent"),
        ("body_sha256", "AB", "canonical form: body_sha256"),
        ("extra", 1, "canonical form: extra"),
    ],
)
def test_a_record_that_was_not_written_here_is_refused(
    event_of: Callable[..., RecordedEvent], field: str, value: object, reason: str
):
    with pytest.raises(ValueError, match=reason):
        from_record({**to_record(event_of(0)), field: value})


@settings(deadline=None)
@given(st.binary(max_size=50))
def test_base64_has_one_spelling(data: bytes):
    text = to_base64(data)
    assert from_base64(text) == data
    for other in (f"{text}\n", f" {text}", text.rstrip("=") if text.endswith("=") else f"{text}="):
        with pytest.raises(ValueError, match=r"base64|padding|data"):
            from_base64(other)


@pytest.mark.parametrize("text", ["1.0", "1e3", "NaN", "[" * 100_000, "", "{} {}", '"\udcff"'])
def test_json_of_no_canonical_form_is_a_value_error(text: str):
    with pytest.raises(ValueError, match=r"integer|deeply|Expecting|Extra|decode"):
        parse_json(text.encode(errors="surrogateescape"))
