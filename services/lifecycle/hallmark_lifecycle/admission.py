"""May this version serve there, for that, at that time? Pure; whatever is not known to be allowed is refused.

New use (the default) is a deployment that does not exist yet. Use that exists (`new_use=False`: the same deployment
again, with a changed replica count, or after a restart) goes on for a deprecated version and past a remediation
clock that ran out, if a deployment was provisioned there; it still needs an approval in force.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from registry_core.values import State, UseContext
from registry_core.version import Approval, Version

from hallmark_lifecycle.remediation import SERVING, responsible

ANY_REGION = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    ref: str
    context: UseContext
    environment: str
    at: datetime
    new_use: bool = True


@dataclass(frozen=True, slots=True)
class Reason:
    """Why not, who owns the mending, and the shortest fix."""

    rule: str
    detail: str
    owner: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    ref: str
    digest: str
    """What must be served under this reference: a storage location can change, this cannot."""
    state: State | None
    approval: Approval | None
    reasons: tuple[Reason, ...]

    @property
    def allowed(self) -> bool:
        return not self.reasons

    def document(self) -> dict[str, Any]:
        approval = self.approval and {
            "promotion": self.approval.promotion,
            "expires_at": self.approval.expires_at,
            "decision_digest": self.approval.decision_digest,
        }
        return {
            "allowed": self.allowed,
            "ref": self.ref,
            "digest": self.digest or None,
            "state": self.state,
            "approval": approval,
            "reasons": [asdict(reason) for reason in self.reasons],
        }


def admit(version: Version, question: Question) -> Admission:
    """The answer, with every reason against it."""
    approval = _approval(version, question)
    reasons = tuple(_reasons(version, question, approval)) if version.exists else (_unknown(question),)
    return Admission(ref=question.ref, digest=version.digest, state=version.state, approval=approval, reasons=reasons)


def covers(approved: UseContext, asked: UseContext) -> bool:
    """An approval for region `any` holds in every region; otherwise contexts must be the same."""
    same_use = (approved.business_function, approved.data_class) == (asked.business_function, asked.data_class)
    return same_use and approved.region in (ANY_REGION, asked.region)


def _approval(version: Version, question: Question) -> Approval | None:
    """The one in force that lasts longest."""
    held = [a for a in version.active_approvals(question.at) if _applies(a, question)]
    return max(held, key=lambda a: a.expires_at, default=None)


def _applies(approval: Approval, question: Question) -> bool:
    return approval.environment == question.environment and covers(approval.context, question.context)


def _unknown(question: Question) -> Reason:
    return Reason("registered", f"{question.ref} is not registered", "", "register it and request a promotion")


def _reasons(version: Version, question: Question, approval: Approval | None) -> Iterator[Reason]:
    owner = responsible(version)
    if version.state not in SERVING:
        yield Reason("state", f"{version.ref} is {version.state}", owner, _state_fix(version.state))
    if version.state == State.DEPRECATED and question.new_use:
        fix = f"use {version.replacement}" if version.replacement else "use a version that is approved"
        yield Reason("deprecated", f"{version.ref} is deprecated; it takes no new use", owner, fix)
    if not question.new_use and not _deployed(version, question.environment):
        detail = f"no deployment of {version.ref} was provisioned in {question.environment}"
        yield Reason("existing-use", detail, owner, "ask with new_use=true")
    if approval is None and version.state != State.RETIRED:
        yield _unapproved(version, question)
    if question.new_use:
        yield from _overdue(version, question.at)


def _state_fix(state: State | None) -> str:
    match state:
        case State.RETIRED:
            return "use another version; a retired one never serves again"
        case State.SUSPENDED:
            return "mend the cause and have a manager reinstate it"
        case _:
            return "request a promotion and have it reviewed"


def _deployed(version: Version, environment: str) -> bool:
    return any(deployment.environment == environment for deployment in version.deployments)


def _unapproved(version: Version, question: Question) -> Reason:
    """The nearest approval, and why it does not do."""
    wanted = f"{question.context} in {question.environment}"
    fitting = [a for a in version.approvals if _applies(a, question)]
    if fitting:
        last = fitting[-1]
        ended = last.ended if last.ended not in (None, "expired") else f"expired at {last.expires_at.isoformat()}"
        detail = f"the approval for {wanted} ended: {ended}"
    elif held := version.active_approvals(question.at):
        detail = f"approved for {held[-1].context} in {held[-1].environment}, not for {wanted}"
    else:
        detail = f"there is no approval for {wanted}"
    return Reason("approval", detail, responsible(version), f"request a promotion for {wanted}")


def _overdue(version: Version, at: datetime) -> Iterator[Reason]:
    for finding, clock in sorted(version.clocks.items()):
        if at >= clock.due:
            detail = f"{finding} should have been mended by {clock.due.isoformat()}"
            yield Reason("remediation", detail, clock.owner, f"mend {finding}, or use a version without it")
