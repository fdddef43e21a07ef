"""What a sweep at a given time does to one version. Pure: the same state and time always give the same events.

Owners are warned first (`NOTICE`), then: an approval and an exception end at their hour, whether anybody was warned or
not, for the hour stands in a signed decision; a version is retired on its date, but never less than a day after its
owner was told; a remediation clock that runs out is escalated and ends new use (see `admission`), while what runs goes
on: stopping it is a person's decision.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from registry_core.events import Event
from registry_core.events.lifecycle import ApprovalExpired, ExceptionExpired, OwnerWarned
from registry_core.version import Version

from hallmark_lifecycle.agenda import OVERDUE, Deadline
from hallmark_lifecycle.remediation import responsible
from hallmark_lifecycle.state import Lifecycle
from hallmark_lifecycle.transitions import retire_by_date

LAST_NOTICE: Final = timedelta(days=1)
"""Between the warning and the retirement, at least."""


def due_events(state: Lifecycle, at: datetime) -> Sequence[Event]:
    """What is due, in the order in which it fell due."""
    if not state.of.exists:
        return []
    ahead = sorted(state.agenda.values(), key=lambda deadline: (deadline.acts_at, deadline.subject))
    for deadline in ahead:
        if deadline.kind == "retirement" and deadline.warn_at is None and at >= deadline.acts_at:
            return retire_by_date(state.of, cause=f"retirement date {deadline.id}")  # ends everything else too
    return [event for deadline in ahead for event in _due(state.of, deadline, at)]


def _due(version: Version, deadline: Deadline, at: datetime) -> Sequence[Event]:
    if deadline.kind != "retirement" and at >= deadline.acts_at:
        return _act(version, deadline)
    if deadline.warn_at is not None and at >= deadline.warn_at:
        return [_warning(version, deadline, at)]
    return []


def _act(version: Version, deadline: Deadline) -> Sequence[Event]:
    match deadline.kind:
        case "approval":
            held = [a for a in version.approvals if a.promotion == deadline.id and a.ended is None]
            return [
                ApprovalExpired(ref=version.ref, promotion=a.promotion, context=a.context, expired_at=a.expires_at)
                for a in held
            ]
        case "exception":
            return [ExceptionExpired(ref=version.ref, exception=deadline.id)]
        case _:
            clock = version.clocks[deadline.id]
            subject = OVERDUE + deadline.subject
            return [
                OwnerWarned(ref=version.ref, subject=subject, owner=clock.escalate_to, acts_at=deadline.acts_at),
            ]


def _warning(version: Version, deadline: Deadline, at: datetime) -> OwnerWarned:
    acts_at = max(deadline.acts_at, at + LAST_NOTICE) if deadline.kind == "retirement" else deadline.acts_at
    return OwnerWarned(ref=version.ref, subject=deadline.subject, owner=responsible(version), acts_at=acts_at)
