"""What is waited for is reached, may still come, or never comes."""

import pytest
import typer
from hallmark.cli.base import span
from hallmark.until import STATUSES, awaitable, reachable, verdict
from hypothesis import given
from hypothesis import strategies as st
from registry_core.values import State

STATES = st.sampled_from(list(State))


def version(state: State, *statuses: str) -> dict:
    return {"state": state, "promotions": [{"promotion": str(n), "status": s} for n, s in enumerate(statuses)]}


@pytest.mark.parametrize(
    ("status", "until", "expected"),
    [
        ("requested", "approved", "open"),
        ("in_review", "approved", "open"),
        ("approved", "approved", "reached"),
        ("rejected", "approved", "missed"),
        ("refused", "approved", "missed"),
        ("refused", "in_review", "missed"),
        ("approved", "in_review", "reached"),
        ("refused", "refused", "reached"),
        ("approved", "rejected", "missed"),
    ],
)
def test_a_promotion_is_judged_by_what_it_has_been_through(status: str, until: str, expected: str):
    assert verdict({"status": status}, until) == expected


@given(st.sampled_from(STATUSES), st.sampled_from(STATUSES))
def test_every_status_has_a_verdict_and_an_ended_promotion_leaves_none_open(status: str, until: str):
    found = verdict({"status": status}, until)
    assert (found == "open") <= (status in ("requested", "audited", "in_review"))
    assert (found == "reached") >= (status == until)


@given(STATES, STATES)
def test_without_promotions_a_version_is_judged_by_the_lifecycle(state: State, until: State):
    found = verdict(version(state), until)
    assert found == ("reached" if state == until else "open" if until in reachable(state) else "missed")


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((), "open"),
        (("refused",), "missed"),
        (("approved", "rejected"), "missed"),
        (("refused", "auditing"), "open"),
        (("in review", "refused"), "open"),
        (("rejected", "approved"), "open"),  # the version's own state follows
    ],
)
def test_a_version_whose_last_promotion_came_to_nothing_waits_in_vain(statuses: tuple[str, ...], expected: str):
    assert verdict(version(State.DRAFT, *statuses), "approved") == expected
    assert verdict(version(State.DRAFT, *statuses), "retired") == "open"


def test_nothing_comes_after_retirement():
    assert reachable(State.RETIRED) == frozenset()
    assert {State.APPROVED, State.RETIRED} <= reachable(State.DRAFT)


@pytest.mark.parametrize("what", ["0123abc", "model:m@1.0.0", "model:m@champion", "model:m"])
def test_what_may_be_waited_for_is_what_the_thing_may_become(what: str):
    expected = STATUSES if ":" not in what else tuple(State) if "@" in what else ()
    assert tuple(awaitable(what)) == tuple(expected)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1.5", 1.5), ("90s", 90), ("30m", 1800), ("2d", 172_800)])
def test_a_span_is_seconds_or_has_a_unit(text: str, seconds: float):
    assert span(text) == seconds


@given(st.text(max_size=12))
def test_any_other_text_is_no_span_and_no_crash(text: str):
    try:
        assert span(text) >= 0
    except typer.BadParameter as error:
        assert "no span of time" in str(error)  # noqa: PT017 - either way is right
