"""Given records from KServe's logger, which requests are in them, and which windows do they make?"""

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hallmark_lifecycle.adapters.pseudonyms import pseudonyms
from hallmark_lifecycle.inference import REQUEST, RESPONSE, Inference, InferenceError, parse
from hallmark_lifecycle.windows import MAX_REQUESTS, windows
from hypothesis import given
from hypothesis import strategies as st
from registry_core.events import RecordedEvent, decode
from registry_core.events.governance import ServedWindowRecorded
from registry_core.events.lifecycle import VersionSuspended
from registry_core.messaging.transport import InboundRecord
from registry_core.store.model import MAX_BODY
from unit.lifecycle.histories import CREDIT, DIGEST, EXPIRES, NOW, REF, approved, deployed, recorded, registered

SERVED_AT = NOW + timedelta(seconds=90)
ANNOTATIONS = {"hallmark.io/model-version": REF, "hallmark.io/digest": DIGEST, "hallmark.io/promotion": "p1"}
ATTRIBUTES = {
    "specversion": "1.0",
    "id": "r-1",
    "source": "http://localhost:9081/",
    "type": REQUEST,
    "time": SERVED_AT.isoformat(),
    "inferenceservicename": "credit-risk-1-0-0",
    "namespace": "production",
    "component": "predictor",
    "annotations": json.dumps(ANNOTATIONS),
    "metadata": "null",
}
STREAM = recorded([registered(), approved(), deployed()])
PSEUDONYM = pseudonyms(Ed25519PrivateKey.from_private_bytes(b"k" * 32))


def record(headers: dict[str, str], value: bytes = b"") -> InboundRecord:
    return InboundRecord("serving.inference", 0, "1:0", None, headers, value)


def binary(value: bytes = b"{}", **changed: str) -> InboundRecord:
    attributes = {k: v for k, v in (ATTRIBUTES | changed).items() if v}
    return record({"content-type": "application/json", **{f"ce_{k}": v for k, v in attributes.items()}}, value)


def structured(data: Any = None, **changed: Any) -> InboundRecord:
    document = {**ATTRIBUTES, "annotations": ANNOTATIONS, "metadata": None, **changed, "data": data}
    return record({"content-type": "application/cloudevents+json; charset=utf-8"}, json.dumps(document).encode())


def request(n: int = 0, **changed: Any) -> Inference:
    made = parse(binary(id=f"r-{n}", customer=f"customer-{n % 3}"))
    return replace(made, **changed)


def made(inferences: Sequence[Inference], stream: Sequence[RecordedEvent] = STREAM) -> list[ServedWindowRecorded]:
    return [window for _, window in windows(inferences, {REF: stream}, PSEUDONYM)]


def test_both_forms_of_a_cloudevent_say_the_same() -> None:
    assert parse(binary()) == parse(structured())
    assert parse(binary()).ref == REF


def test_a_request_and_its_response_share_an_id_and_are_still_told_apart() -> None:
    asked, answered = parse(binary()), parse(binary(type=RESPONSE))
    assert asked.id != answered.id
    assert (asked.is_request, answered.is_request) == (True, False)


def test_source_and_id_cannot_be_confused_with_each_other() -> None:
    assert parse(binary(source="a/b", id="c")).id != parse(binary(source="a", id="b/c")).id


def test_the_customer_is_taken_from_the_first_place_that_names_one() -> None:
    headers = json.dumps({"X-Hallmark-Customer": ["from-header"]})
    body = json.dumps({"customer": "from-body"}).encode()
    assert parse(binary(body, customer="from-extension", metadata=headers)).customer == "from-extension"
    assert parse(binary(body, metadata=headers)).customer == "from-header"
    assert parse(binary(body)).customer == "from-body"
    assert parse(structured({"customer": "from-body"})).customer == "from-body"
    assert parse(binary(b"\x93NUMPY")).customer is None


def test_a_time_is_read_in_its_own_zone() -> None:
    elsewhere = SERVED_AT.astimezone().isoformat()
    assert parse(binary(time=elsewhere)).at == SERVED_AT
    assert parse(binary(time=elsewhere)).at.tzinfo == UTC
    assert parse(binary(time="", recordedtime=elsewhere)).at == SERVED_AT


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (record({}), "no CloudEvent"),
        (record({}, b"{}"), "no CloudEvent"),
        (binary(id=""), "id: Field required"),
        (binary(source=""), "source: Field required"),
        (binary(specversion="0.3"), "specversion"),
        (binary(type="org.example.other"), "type"),
        (binary(time="yesterday"), "time"),
        (binary(time="2026-03-01T12:00:00"), "time"),
        (binary(time=""), "time"),
        (binary(inferenceservicename=""), "inferenceservicename: Field required"),
        (binary(inferenceservicename="../x"), "inferenceservicename"),
        (binary(namespace="a\x00b"), "namespace"),
        (binary(annotations="{"), "annotations"),
        (binary(annotations="[" * 100_000), "annotations"),
        (binary(annotations='["a"]'), "annotations"),
        (binary(metadata='{"a": 1}'), "metadata"),
        (binary(customer="c" * 300), "customer"),
        (record({"content-type": "application/cloudevents+json"}, b"[]"), "one JSON object"),
        (record({"content-type": "application/cloudevents+json"}, b"\xff"), "one JSON object"),
        (record({"content-type": "application/cloudevents+json"}, b"[" * 100_000), "one JSON object"),
    ],
)
def test_what_is_no_inference_event_is_refused_with_the_reason(bad: InboundRecord, told: str) -> None:
    with pytest.raises(InferenceError) as raised:
        parse(bad)
    assert told in str(raised.value)


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=40), max_size=6), st.binary(max_size=60))
def test_no_record_can_crash_the_parser(headers: dict[str, str], value: bytes) -> None:
    for headed in (headers, {**headers, "content-type": "application/cloudevents+json"}):
        with pytest.raises(InferenceError):
            parse(record(headed, value))


@given(st.dictionaries(st.sampled_from(sorted(ATTRIBUTES)), st.text(max_size=40), max_size=4), st.binary(max_size=40))
def test_a_damaged_event_is_read_or_refused(changed: dict[str, str], value: bytes) -> None:
    with suppress(InferenceError):
        (window,) = made([parse(binary(value, **changed))])
        assert window.requests == 1


def test_a_window_names_the_version_its_state_and_the_use_that_was_approved() -> None:
    (window,) = made([request(n) for n in range(4)])
    assert (window.start, window.end) == (
        SERVED_AT.replace(second=0),
        SERVED_AT.replace(second=0) + timedelta(minutes=1),
    )
    assert (window.ref, window.state, window.approved, window.context) == (REF, "approved", True, CREDIT)
    assert window.requests == 4
    assert {c.customer: c.requests for c in window.customers} == {
        PSEUDONYM("customer-0"): 2, PSEUDONYM("customer-1"): 1, PSEUDONYM("customer-2"): 1,
    }  # fmt: skip


def test_no_customer_is_named_in_a_window() -> None:
    (window,) = made([request()])
    assert b"customer-0" not in window.encode()
    assert PSEUDONYM(" customer-0 ") == PSEUDONYM("customer-0")
    assert pseudonyms(Ed25519PrivateKey.generate())("customer-0") != PSEUDONYM("customer-0")


@pytest.mark.parametrize(
    "changed",
    [{"ref": None}, {"ref": "model:unknown@1.0.0"}, {"digest": None}, {"digest": "sha256:" + "0" * 64}],
)
def test_what_names_no_known_version_is_unattributed_and_not_guessed(changed: dict[str, Any]) -> None:
    (window,) = made([request(**changed)])
    assert (window.ref, window.state, window.approved, window.requests) == (None, None, False, 1)
    assert decode(window.type, window.encode()) == window


def test_what_is_no_reference_attributes_nothing() -> None:
    assert parse(binary(annotations=json.dumps({"hallmark.io/model-version": "a\x00b"}))).ref is None


def test_serving_without_an_approval_in_force_is_recorded_as_such() -> None:
    (late,) = made([request(at=EXPIRES)])
    assert (late.ref, late.approved) == (REF, False)
    (elsewhere,) = made([request(environment="staging")])
    assert not elsewhere.approved


def test_the_state_is_the_one_of_that_moment() -> None:
    suspension = recorded([VersionSuspended(ref=REF, cause="x")], 3, SERVED_AT + timedelta(minutes=5))
    before, after = made([request(1), request(2, at=SERVED_AT + timedelta(minutes=6))], [*STREAM, *suspension])
    assert (before.state, before.approved) == ("approved", True)
    assert (after.state, after.approved) == ("suspended", False)


REQUESTS = st.builds(
    request,
    st.integers(0, 10_000),
    at=st.integers(0, 300).map(lambda s: SERVED_AT + timedelta(seconds=s)),
    deployment=st.sampled_from(["a", "b"]),
    ref=st.sampled_from([REF, None]),
    customer=st.sampled_from(["x", "y", None]),
)


@given(st.lists(REQUESTS, max_size=30, unique_by=lambda i: i.id), st.randoms())
def test_every_request_is_counted_once_in_its_minute_in_whatever_order(
    inferences: list[Inference], random: Any
) -> None:
    found = windows(inferences, {REF: STREAM}, PSEUDONYM)
    assert sum(window.requests for _, window in found) == len(inferences)
    assert sum(c.requests for _, w in found for c in w.customers) == sum(1 for i in inferences if i.customer)
    expected = Counter((i.deployment, i.at.replace(second=0), i.ref) for i in inferences)
    assert {(w.deployment, w.start, w.ref): w.requests for _, w in found} == expected
    random.shuffle(inferences)
    assert windows(inferences, {REF: STREAM}, PSEUDONYM) == found


def test_a_crowd_is_recorded_in_parts_that_fit_into_events() -> None:
    crowd = [replace(request(n), customer=f"customer-{n}") for n in range(MAX_REQUESTS + 1)]
    found = windows(crowd, {REF: STREAM}, PSEUDONYM)
    assert [window.requests for _, window in found] == [MAX_REQUESTS, 1]
    assert len({event_id for event_id, _ in found}) == 2
    assert all(len(window.encode()) < MAX_BODY for _, window in found)


def test_times_are_kept_to_the_microsecond() -> None:
    at = datetime(2026, 3, 1, 12, 1, 2, 345678, UTC)
    (window,) = made([request(at=at)])
    assert window.customers[0].first_at == at
