"""What is due for a version, and when: folded from its events, for the sweep and for its index alike. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

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
    VersionApproved,
    VersionRetired,
)
from registry_core.events.versions import MetadataAmended, VersionRegistered

Kind = Literal["approval", "exception", "remediation", "retirement"]

NOTICE: Final[Mapping[Kind, timedelta]] = {
    "approval": timedelta(days=14),
    "exception": timedelta(days=7),
    "remediation": timedelta(days=1),
    "retirement": timedelta(days=30),
}
"""How long beforehand the owner is warned."""
OVERDUE: Final = "overdue "
"""Prefix of the subject when a remediation clock ran out and was escalated."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """Something happens at `acts_at`; its owner is told from `warn_at` on. `warn_at` None: nobody is left to tell."""

    kind: Kind
    id: str
    acts_at: datetime
    warn_at: datetime | None = None

    @property
    def subject(self) -> str:
        """Names it in `OwnerWarned`. A moved retirement date is another subject, so the owner is warned again."""
        return f"{self.kind} {self.id}"

    @property
    def next_at(self) -> datetime:
        return self.acts_at if self.warn_at is None else min(self.warn_at, self.acts_at)


Agenda = Mapping[str, Deadline]
"""Deadlines by subject."""
EMPTY: Final[Agenda] = {}

CONCERNED: Final[tuple[type[Event], ...]] = (
    VersionRegistered,
    MetadataAmended,
    VersionApproved,
    ApprovalExpired,
    ApprovalVoided,
    ExceptionRequested,
    ExceptionGranted,
    ExceptionExpired,
    RemediationClockStarted,
    RemediationClockStopped,
    OwnerWarned,
    VersionRetired,
)
"""Events that change an agenda."""


def next_at(agenda: Agenda) -> datetime | None:
    """When to look at the version again; None if nothing is ahead."""
    return min((deadline.next_at for deadline in agenda.values()), default=None)


def evolve(agenda: Agenda, data: Event) -> Agenda:
    """The agenda after one more event."""
    match data:
        case VersionRegistered(metadata=metadata) | MetadataAmended(metadata=metadata):
            return _with_retirement(agenda, metadata.retire_on)
        case VersionApproved(promotion=promotion, expires_at=expires_at):
            return _put(agenda, _announced("approval", promotion, expires_at))
        case ExceptionRequested(exception=exception, expires_at=expires_at):
            return _put(agenda, Deadline("exception", exception, as_utc(expires_at)))
        case ExceptionGranted(exception=exception):
            return _granted(agenda, f"exception {exception}")
        case RemediationClockStarted(finding=finding, due=due):
            return _put(agenda, _announced("remediation", finding, due))
        case OwnerWarned():
            return _warned(agenda, data)
        case VersionRetired():
            return EMPTY
        case _:
            return _without(agenda, _ended_by(data))


def _ended_by(data: Event) -> str:
    """The subject of the deadline that this event settles; empty if it settles none."""
    match data:
        case ApprovalExpired(promotion=promotion) | ApprovalVoided(promotion=promotion):
            return f"approval {promotion}"
        case ExceptionExpired(exception=exception):
            return f"exception {exception}"
        case RemediationClockStopped(finding=finding):
            return f"remediation {finding}"
        case _:
            return ""


def as_utc(moment: datetime) -> datetime:
    """A time without an offset is read as UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def to_row(agenda: Agenda) -> dict[str, Any]:
    """JSON values by subject."""
    return {
        subject: {
            "kind": deadline.kind,
            "id": deadline.id,
            "acts_at": deadline.acts_at.isoformat(),
            "warn_at": deadline.warn_at.isoformat() if deadline.warn_at else None,
        }
        for subject, deadline in agenda.items()
    }


def from_row(row: Mapping[str, Any]) -> Agenda:
    """The inverse of `to_row`."""
    return {subject: _deadline(values) for subject, values in row.items()}


def _deadline(values: Mapping[str, Any]) -> Deadline:
    warn_at = values["warn_at"]
    acts_at = datetime.fromisoformat(values["acts_at"])
    return Deadline(values["kind"], values["id"], acts_at, datetime.fromisoformat(warn_at) if warn_at else None)


def _announced(kind: Kind, name: str, acts_at: datetime) -> Deadline:
    return Deadline(kind, name, as_utc(acts_at), as_utc(acts_at) - NOTICE[kind])


def _put(agenda: Agenda, deadline: Deadline) -> Agenda:
    return {**agenda, deadline.subject: deadline}


def _without(agenda: Agenda, subject: str) -> Agenda:
    return {name: deadline for name, deadline in agenda.items() if name != subject}


def _with_retirement(agenda: Agenda, retire_on: datetime | None) -> Agenda:
    others = {name: deadline for name, deadline in agenda.items() if deadline.kind != "retirement"}
    if retire_on is None:
        return others
    deadline = _announced("retirement", as_utc(retire_on).isoformat(), retire_on)
    return _put(others, agenda.get(deadline.subject, deadline))


def _granted(agenda: Agenda, subject: str) -> Agenda:
    """Only what was granted ends something when it expires; a mere request expires without a warning."""
    known = agenda.get(subject)
    return _put(agenda, _announced("exception", known.id, known.acts_at)) if known else agenda


def _warned(agenda: Agenda, data: OwnerWarned) -> Agenda:
    if data.subject.startswith(OVERDUE):
        return _without(agenda, data.subject.removeprefix(OVERDUE))
    known = agenda.get(data.subject)
    if known is None:
        return agenda
    acts_at = as_utc(data.acts_at) if known.kind == "retirement" else known.acts_at
    return _put(agenda, replace(known, warn_at=None, acts_at=acts_at))
