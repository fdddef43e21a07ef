"""What counts as of a time and as known at one."""

from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registry_core.events import RecordedEvent
from registry_core.handlers import fold
from registry_core.moments import NOW as ALL
from registry_core.moments import Moment, parse_time
from registry_core.version import Version
from support import NOW

SECONDS = st.integers(0, 20).map(lambda n: NOW + timedelta(seconds=n))


def event(version: int, occurred_at: datetime, recorded_at: datetime) -> RecordedEvent:
    return RecordedEvent(
        id=uuid4(), stream="model:m@1.0.0", version=version, type="io.hallmark.test", body=b"{}", body_sha256=b"",
        actor="ci", occurred_at=occurred_at, recorded_at=recorded_at, correlation_id=uuid4(),
    )  # fmt: skip


def stream(*times: tuple[int, int]) -> list[RecordedEvent]:
    """(occurred, recorded) in seconds after NOW."""
    return [event(n, NOW + timedelta(seconds=o), NOW + timedelta(seconds=r)) for n, (o, r) in enumerate(times)]


def versions(events: list[RecordedEvent]) -> list[int]:
    return [e.version for e in events]


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_what_occurred_early_and_was_recorded_late_is_there_as_of_then_but_was_not_known_then() -> None:
    late = stream((0, 0), (9, 9), (2, 10))
    assert versions(Moment(as_of=at(5)).of(late)) == [0, 2]
    assert versions(Moment(as_of=at(5), known_at=at(9)).of(late)) == [0]


def test_both_bounds_hold_at_the_very_instant() -> None:
    assert versions(Moment(as_of=at(3), known_at=at(4)).of(stream((3, 4), (3, 5)))) == [0]


def test_a_clock_that_went_back_leaves_no_gap_in_what_was_known() -> None:
    stepped_back = stream((0, 0), (10, 10), (4, 4), (11, 11))
    assert versions(Moment(known_at=at(5)).of(stepped_back)) == [0, 1, 2]
    assert versions(Moment(known_at=at(3)).of(stepped_back)) == [0]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20))), SECONDS, SECONDS)
def test_knowing_more_never_takes_away(times: list[tuple[int, int]], one: datetime, other: datetime) -> None:
    whole, (early, late) = stream(*times), sorted((one, other))
    assert versions(Moment(known_at=late).of(whole))[: len(Moment(known_at=early).of(whole))] == versions(
        Moment(known_at=early).of(whole)
    )


@given(st.lists(st.integers(0, 20)).map(sorted), SECONDS)
def test_while_the_clock_goes_forward_known_at_is_a_plain_filter(recorded: list[int], when: datetime) -> None:
    whole = stream(*zip(count(), recorded, strict=False))
    assert Moment(known_at=when).of(whole) == [e for e in whole if e.recorded_at <= when]


def test_without_bounds_it_is_the_present() -> None:
    whole = stream((5, 0), (99, 1))
    assert ALL.of(whole) == whole
    assert fold(Version(), ALL.of([])) == Version()


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-01T12:00:00Z", NOW),
        ("2026-03-01T13:00+01:00", NOW),
        ("2026-03-01T12:00:00.25+00:00", NOW + timedelta(milliseconds=250)),
    ],
)
def test_a_time_with_its_zone_is_taken(text: str, instant: datetime) -> None:
    assert parse_time(text) == instant
    assert parse_time(text).tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("yesterday", "not an ISO 8601 time"),
        ("", "not an ISO 8601 time"),
        ("2026-02-30T00:00:00Z", "not an ISO 8601 time"),
        ("2026-03-01T12:00:00 01:00", "not an ISO 8601 time"),
        ("2026-03-01", "names no zone"),
        ("2026-03-01T12:00:00", "names no zone"),
        ("1969-12-31T23:59:59Z", "between the years"),
        ("0001-01-01T00:00:00+23:00", "between the years"),
        ("9999-12-31T23:59:59-23:00", "between the years"),
    ],
)
def test_any_other_text_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_time(text)
