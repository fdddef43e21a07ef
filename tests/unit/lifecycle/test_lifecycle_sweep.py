"""Given a version's history, what does a sweep at a time bring about?"""

from datetime import datetime, timedelta

from hallmark_lifecycle.agenda import from_row, next_at, to_row
from hallmark_lifecycle.state import Lifecycle
from hallmark_lifecycle.sweep import due_events
from hypothesis import given
from hypothesis import strategies as st
from registry_core.events import Event
from registry_core.events.lifecycle import (
    ApprovalExpired,
    ApprovalVoided,
    ExceptionExpired,
    ExceptionGranted,
    ExceptionRequested,
    OwnerWarned,
    RemediationClockStarted,
    RemediationClockStopped,
    VersionDeprecated,
    VersionRetired,
    VersionSuspended,
)
from registry_core.events.versions import MetadataAmended
from registry_core.values import Metadata, State
from unit.lifecycle.histories import (
    CREDIT,
    DAY,
    EXPIRES,
    NOW,
    OWNED,
    REF,
    approved,
    asked,
    deployed,
    lifecycle,
    registered,
    then,
)

SECOND = timedelta(seconds=1)
RETIRE_ON = NOW + 100 * DAY
RETIRING = OWNED.model_copy(update={"retire_on": RETIRE_ON})
CLOCK = RemediationClockStarted(ref=REF, finding="CVE-1", owner="alice", due=NOW + 7 * DAY, escalate_to="risk-office")
REQUESTED = ExceptionRequested(
    ref=REF, exception="x1", rule="no-critical", reason="vendor fix pending", requested_by="alice",
    expires_at=NOW + 30 * DAY,
)  # fmt: skip
GRANTED = ExceptionGranted(ref=REF, exception="x1", granted_by="mona", person="mona")


def swept(state: Lifecycle, at: datetime) -> tuple[list[Event], Lifecycle]:
    events = list(due_events(state, at))
    return events, then(state, events)


def types(events: list[Event]) -> list[type[Event]]:
    return [type(event) for event in events]


def test_an_approval_expires_at_its_hour() -> None:
    warned = then(lifecycle(registered(), approved()), due_events(lifecycle(registered(), approved()), EXPIRES - DAY))
    assert due_events(warned, EXPIRES - SECOND) == []
    events, after = swept(warned, EXPIRES)
    assert events == [ApprovalExpired(ref=REF, promotion="p1", context=CREDIT, expired_at=EXPIRES)]
    assert due_events(after, EXPIRES + DAY) == []


def test_the_owner_is_warned_once_before_an_approval_expires() -> None:
    state = lifecycle(registered(), approved())
    assert due_events(state, EXPIRES - 14 * DAY - SECOND) == []
    events, after = swept(state, EXPIRES - 14 * DAY)
    assert events == [OwnerWarned(ref=REF, subject="approval p1", owner="alice", acts_at=EXPIRES)]
    assert due_events(after, EXPIRES - SECOND) == []


def test_nobody_is_warned_of_an_approval_that_was_voided() -> None:
    state = lifecycle(registered(), approved(), ApprovalVoided(ref=REF, promotion="p1", cause="prompt changed"))
    assert due_events(state, EXPIRES + DAY) == []


def test_without_an_owner_the_next_responsible_is_warned() -> None:
    for metadata, warned in [(Metadata(backup_owner="bea"), "bea"), (Metadata(), "ci")]:
        (event,) = due_events(lifecycle(registered(metadata), approved()), EXPIRES - DAY)
        assert isinstance(event, OwnerWarned)
        assert event.owner == warned


def test_an_exception_expires_by_itself_after_a_warning() -> None:
    events, after = swept(lifecycle(registered(), REQUESTED, GRANTED), NOW + 25 * DAY)
    assert types(events) == [OwnerWarned]
    events, after = swept(after, NOW + 30 * DAY)
    assert events == [ExceptionExpired(ref=REF, exception="x1")]
    assert after.of.exceptions["x1"].expired


def test_a_mere_request_for_an_exception_expires_without_a_warning() -> None:
    state = lifecycle(registered(), REQUESTED)
    assert due_events(state, NOW + 29 * DAY) == []
    assert types(list(due_events(state, NOW + 30 * DAY))) == [ExceptionExpired]


def test_a_passed_retirement_date_retires_after_the_owner_was_warned() -> None:
    state = lifecycle(registered(RETIRING), approved(expires_at=RETIRE_ON + DAY))
    events, warned = swept(state, RETIRE_ON - 20 * DAY)
    assert [e.acts_at for e in events if isinstance(e, OwnerWarned)] == [RETIRE_ON]
    _, later = swept(warned, RETIRE_ON - SECOND)
    events, after = swept(later, RETIRE_ON)
    assert types(events) == [VersionDeprecated, ApprovalVoided, VersionRetired]
    assert after.of.state == State.RETIRED
    assert due_events(after, RETIRE_ON + 100 * DAY) == []


def test_nobody_is_retired_without_a_days_notice() -> None:
    state = lifecycle(registered(RETIRING))
    late = RETIRE_ON + 5 * DAY
    events, warned = swept(state, late)
    assert events == [
        OwnerWarned(ref=REF, subject=f"retirement {RETIRE_ON.isoformat()}", owner="alice", acts_at=late + DAY)
    ]
    assert due_events(warned, late + DAY - SECOND) == []
    assert types(list(due_events(warned, late + DAY))) == [VersionRetired]


def test_a_moved_retirement_date_is_warned_of_again() -> None:
    _, warned = swept(lifecycle(registered(RETIRING)), RETIRE_ON - DAY)
    moved = RETIRING.model_copy(update={"retire_on": RETIRE_ON + 10 * DAY})
    same = then(warned, [MetadataAmended(ref=REF, metadata=RETIRING.model_copy(update={"purpose": "credit"}))])
    assert due_events(same, RETIRE_ON - SECOND) == []
    assert types(list(due_events(then(warned, [MetadataAmended(ref=REF, metadata=moved)]), RETIRE_ON))) == [OwnerWarned]


def test_a_date_without_an_offset_is_utc() -> None:
    naive = OWNED.model_copy(update={"retire_on": RETIRE_ON.replace(tzinfo=None)})
    assert types(list(due_events(lifecycle(registered(naive)), RETIRE_ON - DAY))) == [OwnerWarned]


def test_a_remediation_clock_warns_then_escalates_and_stops_nothing() -> None:
    state = lifecycle(registered(), approved(), deployed(), CLOCK)
    events, warned = swept(state, NOW + 6 * DAY)
    assert events == [OwnerWarned(ref=REF, subject="remediation CVE-1", owner="alice", acts_at=CLOCK.due)]
    events, after = swept(warned, CLOCK.due)
    assert events == [OwnerWarned(ref=REF, subject="overdue remediation CVE-1", owner="risk-office", acts_at=CLOCK.due)]
    assert after.of.state == State.APPROVED
    assert due_events(after, CLOCK.due + 30 * DAY) == []


def test_a_stopped_clock_escalates_to_nobody() -> None:
    stopped = RemediationClockStopped(ref=REF, finding="CVE-1", cause="mended")
    assert due_events(lifecycle(registered(), approved(), deployed(), CLOCK, stopped), CLOCK.due) == []


def test_an_unknown_version_is_left_alone() -> None:
    assert due_events(Lifecycle(), NOW) == []


OCCURRENCES: list[Event] = [
    approved("p1"),
    approved("p2", expires_at=NOW + 40 * DAY),
    ApprovalVoided(ref=REF, promotion="p1", cause="x"),
    REQUESTED,
    CLOCK,
    RemediationClockStopped(ref=REF, finding="CVE-1", cause="x"),
    MetadataAmended(ref=REF, metadata=RETIRING),
    MetadataAmended(ref=REF, metadata=OWNED),
    VersionSuspended(ref=REF, cause="x"),
]
HISTORIES = st.lists(st.sampled_from(OCCURRENCES), max_size=12)
TIMES = st.integers(0, 400).map(lambda days: NOW + days * DAY)


@given(HISTORIES, TIMES)
def test_a_sweep_twice_does_nothing_new(history: list[Event], at: datetime) -> None:
    _, after = swept(lifecycle(registered(), *history), at)
    assert due_events(after, at) == []


@given(HISTORIES, st.lists(TIMES, max_size=6).map(sorted))
def test_the_index_never_misses_what_is_due(history: list[Event], times: list[datetime]) -> None:
    state = lifecycle(registered(), *history)
    for at in times:
        soonest = next_at(from_row(to_row(state.agenda)))
        events, after = swept(state, at)
        assert bool(events) <= (soonest is not None and soonest <= at)
        state = after


@given(HISTORIES, TIMES)
def test_after_a_sweep_nothing_that_is_over_is_still_in_force(history: list[Event], at: datetime) -> None:
    _, after = swept(lifecycle(registered(), *history), at)
    assert all(a.ended for a in after.of.approvals if a.expires_at <= at)
    assert all(x.expired for x in after.of.exceptions.values() if x.expires_at <= at)
    assert after.of.state == State.RETIRED or all(a.expires_at > at for a in after.of.active_approvals(at))
    assert asked(after.of, at).allowed == asked(lifecycle(registered(), *history).of, at).allowed
