"""Whether what is waited for has come about, may still come about, or no longer can."""

from collections.abc import Sequence
from typing import Any, Final, Literal

from registry_core.values import State
from registry_core.version import TRANSITIONS

Verdict = Literal["reached", "open", "missed"]
STATUSES: Final = ("requested", "audited", "in_review", "approved", "rejected", "refused")
_BEHIND: Final = {
    "requested": {"requested"},
    "audited": {"requested", "audited"},
    "in_review": {"requested", "audited", "in_review"},
    "approved": {"requested", "audited", "in_review", "approved"},
    "rejected": {"requested", "audited", "in_review", "rejected"},
    "refused": {"requested", "audited", "refused"},
}
"""What a promotion has been through when it has a status."""
_ENDED: Final = {"approved", "rejected", "refused"}
_BY_PROMOTION: Final = {State.CANDIDATE, State.APPROVED}
"""States that a version comes to by a promotion alone."""


def awaitable(what: str) -> Sequence[str]:
    """What a version, or a promotion, may be waited for to become; an asset has no state of its own."""
    if ":" not in what:
        return STATUSES
    return list(map(str, State)) if "@" in what else ()


def verdict(found: dict[str, Any], until: str) -> Verdict:
    """`found` is a document as `watch` gives it, of a version or a promotion."""
    return _promotion(found["status"], until) if "status" in found else _version(found, State(until))


def _promotion(status: str, until: str) -> Verdict:
    if until in _BEHIND.get(status, ()):
        return "reached"
    return "missed" if status in _ENDED else "open"


def _version(found: dict[str, Any], until: State) -> Verdict:
    state = State(found["state"])
    if state == until:
        return "reached"
    if until not in reachable(state) or (until in _BY_PROMOTION and _turned_down(found["promotions"])):
        return "missed"
    return "open"


def reachable(state: State) -> frozenset[State]:
    """Every state that a version may still come to."""
    found: set[State] = set()
    ahead = [state]
    while ahead:
        ahead += (new := TRANSITIONS[ahead.pop()] - found)
        found |= new
    return frozenset(found)


def _turned_down(promotions: list[dict[str, Any]]) -> bool:
    """None is open, and the last one came to nothing: the version goes no further unless somebody asks again."""
    statuses = [row["status"] for row in promotions]
    return bool(statuses) and all(status in _ENDED for status in statuses) and statuses[-1] != "approved"
