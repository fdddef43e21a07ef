"""Given a version's history, which changes of state may be asked for?"""

from datetime import datetime

import pytest
from hallmark_lifecycle.state import Lifecycle
from hallmark_lifecycle.sweep import due_events
from hallmark_lifecycle.transitions import TransitionRefusedError, deprecate, reinstate, retire, suspend
from hypothesis import given
from hypothesis import strategies as st
from registry_core.events import Event
from registry_core.events.lifecycle import (
    ApprovalVoided,
    RemediationClockStarted,
    RemediationClockStopped,
    VersionReinstated,
    VersionRetired,
)
from registry_core.events.versions import MetadataAmended
from registry_core.values import State
from registry_core.version import IllegalTransitionError
from unit.lifecycle.histories import (
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
    vulnerable,
)

APPROVED = lifecycle(registered(), approved(), deployed())


def suspended(state: Lifecycle) -> Lifecycle:
    return then(state, suspend(state.of, cause="incident"))


def test_an_approved_version_is_deprecated_before_it_is_retired() -> None:
    with pytest.raises(IllegalTransitionError, match="it can become: deprecated, suspended"):
        retire(APPROVED.of, cause="old")
    after = then(APPROVED, deprecate(APPROVED.of, replacement=None, cause="old"))
    assert then(after, retire(after.of, cause="old")).of.state == State.RETIRED


def test_retiring_ends_approvals_and_clocks() -> None:
    clock = RemediationClockStarted(ref=REF, finding="CVE-1", owner="a", due=NOW, escalate_to="b")
    state = then(APPROVED, [clock])
    state = then(state, deprecate(state.of, replacement=None, cause="old"))
    assert [type(event) for event in retire(state.of, cause="old")] == [
        ApprovalVoided, RemediationClockStopped, VersionRetired,
    ]  # fmt: skip


def test_nothing_replaces_itself() -> None:
    with pytest.raises(TransitionRefusedError, match="cannot replace itself"):
        deprecate(APPROVED.of, replacement=REF, cause="?")


def test_a_suspended_version_comes_back_under_its_approval() -> None:
    stopped = suspended(APPROVED)
    assert not asked(stopped.of).allowed
    events = reinstate(stopped, cause="mended", now=NOW)
    assert events == [VersionReinstated(ref=REF, cause="mended")]
    assert asked(then(stopped, events).of).allowed


def test_a_suspended_version_without_an_approval_stays_suspended() -> None:
    with pytest.raises(TransitionRefusedError, match="no approval in force"):
        reinstate(suspended(APPROVED), cause="mended", now=EXPIRES)


def test_suspension_does_not_undo_a_deprecation() -> None:
    deprecated = then(APPROVED, deprecate(APPROVED.of, replacement=None, cause="old"))
    with pytest.raises(TransitionRefusedError, match="was deprecated before"):
        reinstate(suspended(deprecated), cause="mended", now=NOW)


def test_what_is_not_suspended_is_not_reinstated() -> None:
    with pytest.raises(TransitionRefusedError, match="not suspended"):
        reinstate(APPROVED, cause="?", now=NOW)


def approve(state: Lifecycle, at: datetime) -> list[Event]:
    state.of.check_transition(State.APPROVED)
    return [approved(f"p{state.version}", expires_at=at + 90 * DAY)]


COMMANDS = {
    "deprecate": lambda state, at: deprecate(state.of, replacement=None, cause="x"),
    "retire": lambda state, at: retire(state.of, cause="x"),
    "suspend": lambda state, at: suspend(state.of, cause="x"),
    "reinstate": lambda state, at: reinstate(state, cause="x", now=at),
    "approve": approve,
    "sweep": due_events,
    "date": lambda state, at: [MetadataAmended(ref=REF, metadata=OWNED.model_copy(update={"retire_on": at}))],
    "deploy": lambda state, at: [deployed()],
    "find": lambda state, at: [vulnerable()],
}


def commanded(state: Lifecycle, name: str, at: datetime) -> Lifecycle:
    try:
        return then(state, list(COMMANDS[name](state, at)))
    except (IllegalTransitionError, TransitionRefusedError):
        return state


STEPS = st.lists(st.tuples(st.sampled_from(sorted(COMMANDS)), st.integers(0, 60)), max_size=25)


@given(STEPS)
def test_a_retired_version_is_never_admitted(steps: list[tuple[str, int]]) -> None:
    state, at, over = APPROVED, NOW, False
    for name, days in steps:
        at += days * DAY
        state = commanded(state, name, at)
        over = over or state.of.state == State.RETIRED
        if over:
            assert state.of.state == State.RETIRED
            assert not asked(state.of, at).allowed
            assert not asked(state.of, at, new_use=False).allowed
            assert not state.of.active_approvals(at)


@given(STEPS)
def test_nothing_is_admitted_but_approved_versions_under_an_approval_in_force(steps: list[tuple[str, int]]) -> None:
    state, at = APPROVED, NOW
    for name, days in steps:
        at += days * DAY
        state = commanded(state, name, at)
        if asked(state.of, at).allowed:
            assert state.of.state == State.APPROVED
            assert state.of.active_approvals(at)
