"""Calls reach the server once in effect, whatever happens to the connection."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hallmark import HallmarkError, UnreachableError
from hallmark.wire import event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support_sdk import Connect
from unit.cli.fakes import FakeServer, FakeTime, Refusing

LOST = [
    httpx.ConnectError("refused"),
    httpx.ReadTimeout("late"),
    httpx.RemoteProtocolError("disconnected"),
    httpx.ReadError("reset"),
    httpx.Response(502),
    httpx.Response(503),
    httpx.Response(504),
]


WHERE = ("http://h.test", "t")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(failures=st.lists(st.sampled_from(LOST), max_size=8))
def test_a_write_sent_again_is_the_same_write(
    connect: Connect, server: FakeServer, time: FakeTime, failures: list[Any]
):
    server.requests.clear()
    server.will(*failures, httpx.Response(201, json={"log_index": 7}))
    with connect(*WHERE, time=time) as hallmark:
        assert hallmark.retire("model:m@1.0.0", "old") == {"log_index": 7}
    assert len(server.requests) == len(failures) + 1
    assert len({(r.headers["idempotency-key"], r.content, str(r.url)) for r in server.requests}) == 1


def test_who_is_told_to_wait_waits_as_long(connect: Connect, server: FakeServer, time: FakeTime):
    server.will(httpx.Response(429, headers={"retry-after": "17"}), httpx.Response(200, json={"ref": "model:m@1.0.0"}))
    begun = time.now
    with connect(*WHERE, time=time) as hallmark:
        assert hallmark.version("model:m@1.0.0") == {"ref": "model:m@1.0.0"}
    assert 17 <= time.now - begun < 18


def test_who_is_told_to_wait_for_too_long_gives_up_at_once(connect: Connect, server: FakeServer, time: FakeTime):
    server.will(httpx.Response(429, headers={"retry-after": "99999"}))
    begun = time.now
    with connect(*WHERE, time=time) as hallmark, pytest.raises(UnreachableError, match="429"):
        hallmark.version("model:m@1.0.0")
    assert (time.now, len(server.requests)) == (begun, 1)


def test_every_call_has_a_key_of_its_own_and_reads_have_none(connect: Connect, server: FakeServer, time: FakeTime):
    server.will(httpx.Response(200, json={}))
    with connect(*WHERE, time=time) as hallmark:
        hallmark.retire("model:m@1.0.0", "old")
        hallmark.retire("model:m@1.0.0", "old")
        hallmark.version("model:m@1.0.0")
    first, second, read = server.requests
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]
    assert "idempotency-key" not in read.headers


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(seconds=st.floats(0, 600))
def test_a_server_that_never_answers_is_given_up_at_the_deadline(
    connect: Connect, server: FakeServer, time: FakeTime, seconds: float
):
    server.will(httpx.ConnectError("refused"))
    begun = time.now
    with connect(*WHERE, time=time, seconds=seconds) as hallmark, pytest.raises(UnreachableError, match="refused"):
        hallmark.whoami()
    assert time.now - begun <= seconds


def test_the_first_failure_of_a_call_is_told_once(connect: Connect, server: FakeServer, time: FakeTime):
    told: list[str] = []
    server.will(httpx.ConnectError("refused"), httpx.Response(503), httpx.Response(200, json={}))
    with connect(*WHERE, time=time, notice=told.append) as hallmark:
        hallmark.whoami()
    assert told == ["refused"]


def test_what_a_server_says_that_cannot_answer_is_passed_on(
    connect: Connect, server: FakeServer, time: FakeTime, refusing: Refusing
):
    told: list[str] = []
    server.will(refusing(503, detail="nothing is sealed or signed", fix="recover the lost events"))
    with connect(*WHERE, time=time, notice=told.append) as hallmark, pytest.raises(UnreachableError) as caught:
        hallmark.whoami()
    assert told == ["it answered 503: nothing is sealed or signed"]
    assert "nothing is sealed or signed" in caught.value.detail
    assert caught.value.fix == "recover the lost events"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 413, 422, 500])
def test_a_refusal_is_not_sent_again(
    connect: Connect, server: FakeServer, time: FakeTime, refusing: Refusing, status: int
):
    server.will(refusing(status, detail="no", fix="do", field="/x", errors=[{"field": "/x", "message": "bad"}, 1]))
    with connect(*WHERE, time=time) as hallmark, pytest.raises(HallmarkError) as caught:
        hallmark.retire("model:m@1.0.0", "old")
    error = caught.value
    assert (error.status, error.detail, error.fix, error.field) == (status, "no", "do", "/x")
    assert error.errors == ({"field": "/x", "message": "bad"},)
    assert len(server.requests) == 1


@given(body=st.binary(max_size=300), status=st.sampled_from([400, 404, 500]))
def test_whatever_a_proxy_answers_is_an_error_that_says_so(connect: Connect, body: bytes, status: int):
    answer = httpx.MockTransport(lambda request: httpx.Response(status, content=body))
    with connect(*WHERE, transport=answer) as hallmark, pytest.raises(HallmarkError) as caught:
        hallmark.whoami()
    assert caught.value.status == status
    assert caught.value.detail


@given(body=st.binary(max_size=100))
def test_an_answer_that_is_no_object_is_an_error_not_a_crash(connect: Connect, body: bytes):
    def respond(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body, headers={"content-type": "application/json"})

    with connect(*WHERE, transport=httpx.MockTransport(respond)) as hallmark:
        title = ""
        try:
            found: object = hallmark.whoami()
        except HallmarkError as error:
            found, title = None, error.title
    assert isinstance(found, dict) or title == "Unreadable answer"


@pytest.mark.parametrize("url", ["foo", "http://", "ftp://x", "http://[::1", "http://a:b"])
def test_an_unusable_address_says_how_to_write_one(connect: Connect, url: str):
    with pytest.raises(HallmarkError, match="write e"), connect(url, "t") as hallmark:
        hallmark.whoami()


class _Broken(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        yield b"half"
        raise httpx.ReadError("reset")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


def test_a_download_that_breaks_begins_anew_and_the_file_is_whole(
    connect: Connect, server: FakeServer, time: FakeTime, tmp_path: Path
):
    moved: list[int] = []
    server.will(httpx.Response(200, stream=_Broken()), httpx.Response(200, content=b"the whole log"))
    with connect(*WHERE, time=time) as hallmark:
        hallmark.export_log(tmp_path / "log.pack", moved.append)
    assert (tmp_path / "log.pack").read_bytes() == b"the whole log"
    assert sum(moved) == len(b"the whole log")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_download_given_up_leaves_the_old_file(connect: Connect, server: FakeServer, time: FakeTime, tmp_path: Path):
    (tmp_path / "log.pack").write_bytes(b"old")
    server.will(lambda request: httpx.Response(200, stream=_Broken()))
    with connect(*WHERE, time=time, seconds=1) as hallmark, pytest.raises(UnreachableError):
        hallmark.export_log(tmp_path / "log.pack")
    assert (tmp_path / "log.pack").read_bytes() == b"old"


def test_a_refused_download_is_an_error_with_its_reason(
    connect: Connect, server: FakeServer, time: FakeTime, refusing: Refusing, tmp_path: Path
):
    server.will(refusing(403, detail="not an auditor"))
    with connect(*WHERE, time=time) as hallmark, pytest.raises(HallmarkError, match="not an auditor"):
        hallmark.evidence_pack("model:m@1.0.0", tmp_path / "m.pack")
    assert not (tmp_path / "m.pack").exists()


def test_fields_that_are_not_given_are_not_sent_but_a_field_can_be_cleared(
    connect: Connect, server: FakeServer, time: FakeTime
):
    server.will(httpx.Response(200, json={}))
    with connect(*WHERE, time=time) as hallmark:
        hallmark.deprecate("model:m@1.0.0", "old")
        assert server.sent == {"cause": "old"}
        hallmark.amend_metadata("model:m@1.0.0", {"backup_owner": None})
        assert server.sent == {"backup_owner": None}


def test_references_and_names_stay_one_segment_of_the_path(connect: Connect, server: FakeServer, time: FakeTime):
    server.will(httpx.Response(200, json={}))
    with connect(*WHERE, time=time) as hallmark:
        hallmark.version("model:m@1.0.0+a/b?c")
    assert server.requests[-1].url.raw_path == b"/v1/versions/model%3Am%401.0.0%2Ba%2Fb%3Fc"


def test_an_incomplete_cloudevent_names_what_is_missing():
    from hallmark.events import encoded

    with pytest.raises(HallmarkError, match="source, type"):
        encoded({"specversion": "1.0", "id": "1"})
    assert json.loads(encoded({"specversion": "1.0", "id": "1", "source": "ci", "type": "t", "data": {}}))["id"] == "1"


@given(number=st.integers(0), row=st.dictionaries(st.text(), st.integers() | st.text(), min_size=1))
def test_an_event_of_a_stream_is_its_id_and_its_row(number: int, row: dict[str, Any]):
    lines = [": a comment", f"id: {number}", f"data: {json.dumps(row)}", ""]
    assert event(lines) == (str(number), row)
    assert event([": still here", ""]) == ("", None)


@given(st.lists(st.text()))
def test_a_stream_of_anything_else_is_an_error_and_no_crash(lines: list[str]):
    try:
        assert isinstance(event(lines)[0], str)
    except HallmarkError as error:
        assert error.title == "Unreadable answer"  # noqa: PT017 - either way is right
