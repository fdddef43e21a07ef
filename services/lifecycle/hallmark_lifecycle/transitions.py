"""Changes of state that a person or a date asks for. Pure; all raise IllegalTransitionError."""

from collections.abc import Sequence
from datetime import datetime

from registry_core.events import Event
from registry_core.events.lifecycle import (
    ApprovalVoided,
    RemediationClockStopped,
    VersionDeprecated,
    VersionReinstated,
    VersionRetired,
    VersionSuspended,
)
from registry_core.values import State
from registry_core.version import Version

from hallmark_lifecycle.state import Lifecycle


class TransitionRefusedError(ValueError):
    """The lifecycle knows the change, but something it rests on is missing."""

    def __init__(self, detail: str, fix: str) -> None:
        super().__init__(detail)
        self.fix = fix


def deprecate(version: Version, *, replacement: str | None, cause: str) -> Sequence[Event]:
    """New use ends; what is deployed serves on until its approval ends. Raises TransitionRefusedError."""
    version.check_transition(State.DEPRECATED)
    if replacement == version.ref:
        raise TransitionRefusedError(f"{version.ref} cannot replace itself", "name another version, or none")
    return [VersionDeprecated(ref=version.ref, replacement=replacement, cause=cause)]


def retire(version: Version, *, cause: str) -> Sequence[Event]:
    """Serving ends for good, and with it the approvals in force and the clocks that run."""
    version.check_transition(State.RETIRED)
    return _end(version, cause)


def retire_by_date(version: Version, *, cause: str) -> Sequence[Event]:
    """As `retire`; an approved version passes through deprecation on its way."""
    if version.state != State.APPROVED:
        return retire(version, cause=cause)
    return [VersionDeprecated(ref=version.ref, cause=cause), *_end(version, cause)]


def _end(version: Version, cause: str) -> list[Event]:
    held = [approval.promotion for approval in version.approvals if approval.ended is None]
    return [
        *(ApprovalVoided(ref=version.ref, promotion=promotion, cause="retired") for promotion in held),
        *(RemediationClockStopped(ref=version.ref, finding=f, cause="retired") for f in sorted(version.clocks)),
        VersionRetired(ref=version.ref, cause=cause),
    ]


def suspend(version: Version, *, cause: str) -> Sequence[Event]:
    """Serving ends at once, until somebody reinstates the version."""
    version.check_transition(State.SUSPENDED)
    return [VersionSuspended(ref=version.ref, cause=cause)]


def reinstate(state: Lifecycle, *, cause: str, now: datetime) -> Sequence[Event]:
    """Back into service, under the approval that is still in force. Raises TransitionRefusedError."""
    version = state.of
    version.check_transition(State.APPROVED)
    if version.state != State.SUSPENDED:
        raise TransitionRefusedError(f"{version.ref} is not suspended, it is {version.state}", "nothing is to be done")
    if state.suspended_from == State.DEPRECATED:
        detail = f"{version.ref} was deprecated before it was suspended"
        raise TransitionRefusedError(detail, "deprecate it again, or request a promotion for it")
    if not version.active_approvals(now):
        detail = f"{version.ref} has no approval in force"
        raise TransitionRefusedError(detail, "request a promotion for it, or retire it")
    return [VersionReinstated(ref=version.ref, cause=cause)]
