"""CloudEvents 1.0.2 in each mode and binding: what is read, and what is said of the rest."""

import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from hallmark_ingestion.intake.bindings import from_record, from_request
from hallmark_ingestion.intake.cloudevents import CloudEvent, from_batch, from_structured
from hallmark_ingestion.intake.commands import REGISTER, parse
from registry_core.problems import Problem

DATA = {"ref": "model:m@1.0.0", "digest": "sha256:" + "a" * 64}
EVENT = {"specversion": "1.0", "id": "1", "source": "urn:ci", "type": REGISTER, "data": DATA}
JSON = b"application/json"


def structured(**changes: Any) -> CloudEvent:
    return from_structured(json.dumps({**EVENT, **changes}).encode())


def binary(body: bytes = b"{}", content_type: bytes | None = JSON, **attributes: bytes) -> CloudEvent:
    """Over HTTP."""
    named = {"specversion": b"1.0", "id": b"1", "source": b"urn:ci", "type": REGISTER.encode(), **attributes}
    headers = [(f"ce-{name}".encode(), value) for name, value in named.items()]
    found = from_request([*headers, *([(b"content-type", content_type)] if content_type else [])], body)
    assert isinstance(found, CloudEvent)
    return found


def problem_of(read: Any, *arguments: Any, **named: Any) -> Problem:
    with pytest.raises(Problem) as raised:
        read(*arguments, **named)
    return raised.value


def test_the_attributes_and_the_data_are_read() -> None:
    event = structured(time="2026-03-01T09:30:00+01:00", traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    assert (event.id, event.source, event.type, event.data) == ("1", "urn:ci", REGISTER, DATA)
    assert event.time == datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
    assert event.traceparent
    assert event.traceparent.startswith("00-aaa")


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "text/json", "a/b+JSON"])
def test_data_may_be_bytes_in_base64(kind: str) -> None:
    event = {name: value for name, value in EVENT.items() if name != "data"}
    event |= {"data_base64": b64encode(json.dumps(DATA).encode()).decode(), "datacontenttype": kind}
    assert from_structured(json.dumps(event).encode()).data == DATA


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"specversion": "0.3"}, "/specversion"),
        ({"specversion": 1.0}, "/specversion"),
        ({"id": ""}, "/id"),
        ({"id": 1}, "/id"),
        ({"source": "x" * 513}, "/source"),
        ({"type": None}, "/type"),
        ({"time": "yesterday"}, "/time"),
        ({"time": 5}, "/time"),
        ({"subject": ""}, "/subject"),
        ({"dataschema": {}}, "/dataschema"),
        ({"data_base64": "AA=="}, "/data_base64"),
        ({"runid": {"deep": 1}}, "/runid"),
        ({"runid": 2**31}, "/runid"),
        ({"runid": 0.5}, "/runid"),
        ({"runid": "x" * 5000}, "/runid"),
        ({"Run-Id": "1"}, ""),
    ],
)
def test_an_attribute_that_breaks_the_specification_is_named(changes: dict[str, Any], field: str) -> None:
    problem = problem_of(structured, **changes)
    assert (problem.status, problem.slug, problem.field) == (400, "malformed-event", field)
    assert problem.fix
    assert "CloudEvents" in problem.extensions["schema"]


@pytest.mark.parametrize("encoded", ["%%%", "eA", 7])
def test_base64_that_is_none_is_malformed(encoded: Any) -> None:
    event = {name: value for name, value in EVENT.items() if name != "data"} | {"data_base64": encoded}
    assert problem_of(from_structured, json.dumps(event).encode()).field == "/data_base64"


def test_extensions_that_have_no_place_are_told() -> None:
    assert structured(runid="7", sampledrate=3, traced=True, unset=None).not_kept == ("runid", "sampledrate", "traced")
    assert binary(runid=b"7").not_kept == ("runid",)


@pytest.mark.parametrize("kind", ["text/xml", "application/octet-stream", "json", "application/jsonp", 5])
def test_data_of_another_type_is_not_read(kind: Any) -> None:
    problem = problem_of(structured, datacontenttype=kind)
    assert (problem.status, problem.slug, problem.field) == (415, "data-not-json", "/datacontenttype")


def test_null_attributes_are_as_good_as_none() -> None:
    assert structured(time=None, subject=None, datacontenttype=None, data_base64=None).time is None


@pytest.mark.parametrize("text", [b"NaN", b"-Infinity", b"'x'", b'"\\ud800"', b"[" * 300, b"1" * 5000, b"\xff", b""])
def test_what_is_no_json_is_malformed_in_every_mode(text: bytes) -> None:
    inside = b'{"specversion":"1.0","id":"1","source":"a","type":"b","data":' + text + b"}"
    assert problem_of(from_structured, inside).slug == "malformed-event"
    assert problem_of(binary, text).field == "/data"
    encoded = json.dumps({**{k: v for k, v in EVENT.items() if k != "data"}, "data_base64": b64encode(text).decode()})
    assert problem_of(from_structured, encoded.encode()).field == "/data_base64"


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        (b"caf%c3%a9", "café"),
        (b"100%25", "100%"),
        (b"%2541", "%41"),
        (b'"with space"', "with space"),
        (b'"a \\"b\\" \\\\c"', 'a "b" \\c'),
        (b'"%20"', " "),
        (b"plain", "plain"),
        (b"%zz", "%zz"),
    ],
)
def test_http_header_values_are_unquoted_and_then_percent_decoded_once(sent: bytes, read: str) -> None:
    """HTTP protocol binding 1.0.2, section 3.1.3.2, with its examples."""
    assert binary(id=sent).id == read


@pytest.mark.parametrize("sent", [b"%C0%A0", b"%ff", b"\xe9"])
def test_a_header_that_is_no_utf_8_is_malformed(sent: bytes) -> None:
    assert problem_of(binary, source=sent).field == "/source"


def test_kafka_header_values_are_taken_as_they_are() -> None:
    headers = {"ce_specversion": "1.0", "ce_id": "100%25", "ce_source": "é", "ce_type": REGISTER}
    event = from_record({**headers, "content-type": "application/json"}, json.dumps(DATA).encode())
    assert (event.id, event.source, event.data) == ("100%25", "é", DATA)


@pytest.mark.parametrize("name", ["content-type", "Content-Type"])
def test_on_kafka_the_content_type_says_that_an_event_is_structured(name: str) -> None:
    headers = {name: "application/cloudevents+json; charset=UTF-8", "ce_specversion": "1.0", "ce_id": "in a header"}
    assert from_record(headers, json.dumps(EVENT).encode()).id == "1"
    assert from_record({}, json.dumps(EVENT).encode()).id == "1"


@pytest.mark.parametrize("kind", ["application/cloudevents-batch+json", "application/cloudevents+avro"])
def test_kafka_knows_no_batches_and_no_other_formats(kind: str) -> None:
    problem = problem_of(from_record, {"content-type": kind, "ce_specversion": "1.0"}, b"[]")
    assert (problem.status, problem.slug) == (415, "not-a-cloudevent")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-type", JSON)],
        [(b"content-type", b"application/cloudevents+avro"), (b"ce-specversion", b"1.0")],
        [(b"content-type", b"application/cloudevents+json"), (b"content-encoding", b"gzip")],
    ],
)
def test_a_request_in_no_mode_says_which_there_are(headers: list[tuple[bytes, bytes]]) -> None:
    problem = problem_of(from_request, headers, b"{}")
    assert problem.status == 415
    assert problem.fix


def test_media_types_have_no_case() -> None:
    found = from_request([(b"content-type", b"Application/CloudEvents+JSON")], json.dumps(EVENT).encode())
    assert isinstance(found, CloudEvent)
    assert found.id == "1"


def test_binary_mode_needs_no_content_type_and_takes_no_data_attribute() -> None:
    assert binary(json.dumps(DATA).encode(), content_type=None).data == DATA
    assert problem_of(binary, data=b"{}").field == "/data"


def test_each_element_of_a_batch_is_read_or_said_what_is_wrong_with_by_itself() -> None:
    elements = [EVENT, 7, {**EVENT, "id": "2", "time": "never"}, {**EVENT, "id": "3"}, {"id": 5}]
    first, number, late, last, bare = from_batch(json.dumps(elements).encode())
    assert isinstance(first, CloudEvent)
    assert isinstance(last, CloudEvent)
    assert isinstance(number, Problem)
    assert isinstance(late, Problem)
    assert isinstance(bare, Problem)
    assert [number.field, late.field, bare.field] == ["/1", "/2/time", "/4/data"]
    assert late.document()["id"] == "2"
    assert "id" not in bare.document()
    assert last.pointer == "/3"


@pytest.mark.parametrize("body", [b"{}", b"7", json.dumps([EVENT] * 1001).encode()])
def test_what_is_no_batch_is_refused_whole(body: bytes) -> None:
    assert problem_of(from_batch, body).slug == "malformed-event"


def test_a_batch_may_be_empty() -> None:
    assert from_batch(b"[]") == []


def test_an_invalid_command_names_every_pointer_schema_and_fix() -> None:
    batch = [EVENT, {**EVENT, "data": {**DATA, "files": [{"name": "../x", "digest": "no"}], "a/b~c": 1}}]
    event = from_batch(json.dumps(batch).encode())[1]
    assert isinstance(event, CloudEvent)
    problem = problem_of(parse, event)
    assert {each["field"] for each in problem.extensions["errors"]} == {
        "/1/data/files/0/name",
        "/1/data/files/0/digest",
        "/1/data/a~1b~0c",
    }
    assert problem.extensions["schema"] == f"schemas/inbound/{REGISTER}.json"
    assert problem.fix


def test_an_unknown_type_says_which_there_are() -> None:
    problem = problem_of(parse, structured(type="com.example.trained"))
    assert (problem.slug, problem.field) == ("unknown-type", "/type")
    assert REGISTER in problem.fix
