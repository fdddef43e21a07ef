"""Ranges and conditions of RFC 9110, whatever a client sends."""

import base64
import hashlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registry_core.http.representation import Representation, Span, span_asked_for, unchanged
from registry_core.problems import Problem

DIGEST = "sha256:" + hashlib.sha256(b"0123456789").hexdigest()
TEN = Representation("folder/weights.bin", DIGEST, 10)
TAG = f'"{DIGEST}"'


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-9", 0, 10),
        ("bytes=3-5", 3, 6),
        ("bytes=3-", 3, 10),
        ("bytes=9-", 9, 10),
        ("bytes=-1", 9, 10),
        ("bytes=-10", 0, 10),
        ("bytes=-999", 0, 10),
        ("bytes=5-" + "9" * 5000, 5, 10),
        ("bytes=-" + "9" * 5000, 0, 10),
        ("bytes=" + "0" * 5000 + "4-", 4, 10),
        ("Bytes= 3-5 ", 3, 6),
    ],
)
def test_a_range_is_the_part_it_names(asked: str, first: int, end: int) -> None:
    assert span_asked_for(TEN, {"range": asked}) == Span(first, end)


@pytest.mark.parametrize(
    "asked",
    [
        "", "bytes=", "bytes=-", "bytes=a-b", "bytes=1-2,4-5", "bytes=0-,0-,0-", "bytes=0-1,", "lines=1-2",
        "bytes 1-2", "bytes=+1-2", "bytes=1.5-2", "bytes=0x1-2", "bytes=\uff11-\uff12", "bytes=-9-",
        "bytes=5-3", "bytes=" + "0-1," * 1000,
    ],
)  # fmt: skip
def test_what_is_no_single_range_gets_the_whole(asked: str) -> None:
    assert span_asked_for(TEN, {"range": asked}) is None


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=" + "9" * 5000 + "-"])
def test_a_range_beyond_the_end_is_416_and_tells_the_size(asked: str) -> None:
    with pytest.raises(Problem) as refused:
        span_asked_for(TEN, {"range": asked})
    assert refused.value.status == 416
    assert refused.value.headers["Content-Range"] == "bytes */10"


def test_an_empty_file_has_no_parts() -> None:
    empty = Representation("empty", DIGEST, 0)
    assert span_asked_for(empty, {"range": "bytes=0-"}) is None
    assert empty.describing(None)["Content-Length"] == "0"


@pytest.mark.parametrize(
    ("condition", "span"),
    [(TAG, Span(3, 10)), (f"W/{TAG}", None), ('"other"', None), ("Sat, 28 Nov 2026 12:00:00 GMT", None)],
)
def test_if_range_gives_the_part_of_this_content_alone(condition: str, span: Span | None) -> None:
    assert span_asked_for(TEN, {"range": "bytes=3-", "if-range": condition}) == span


@pytest.mark.parametrize(
    ("field", "same"),
    [(TAG, True), (f"W/{TAG}", True), (f'"x", {TAG}', True), ("*", True), ('"x"', False), ("", False), (DIGEST, False)],
)
def test_if_none_match_says_what_the_caller_has(field: str, same: bool) -> None:
    assert unchanged(TEN, {"if-none-match": field}) is same


@pytest.mark.parametrize("field", ['"other"', f"W/{TAG}", "3", ""])
def test_if_match_of_other_content_is_412(field: str) -> None:
    with pytest.raises(Problem) as refused:
        unchanged(TEN, {"if-match": field})
    assert refused.value.status == 412


@given(text=st.text(max_size=60), size=st.integers(0, 10**15))
def test_no_range_makes_a_part_that_the_file_has_not(text: str, size: int) -> None:
    file = Representation("f", DIGEST, size)
    for field in (text, f"bytes={text}"):
        with suppress(Problem):
            span = span_asked_for(file, {"range": field}) or Span(0, size)
            assert 0 <= span.first <= span.end <= size


def test_the_digest_of_the_whole_comes_along_with_a_part() -> None:
    headers = TEN.describing(Span(2, 5))
    assert headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(hashlib.sha256(b'0123456789').digest()).decode()}:"
    assert headers["Content-Range"] == "bytes 2-4/10"
    assert headers["Content-Disposition"] == 'attachment; filename="weights.bin"'
