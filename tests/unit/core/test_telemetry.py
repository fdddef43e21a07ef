"""What a caller's trace is worth to a service that sends no spans anywhere."""

import pytest
from registry_core.telemetry import continued, current_traceparent

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_callers_trace_is_continued_without_tracing() -> None:
    with continued(TRACEPARENT):
        assert current_traceparent() == TRACEPARENT
    assert current_traceparent() is None


@pytest.mark.parametrize("malformed", [None, "", "00-0-0-00", "\0", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_a_malformed_traceparent_is_none(malformed: str | None) -> None:
    with continued(malformed):
        assert current_traceparent() is None
