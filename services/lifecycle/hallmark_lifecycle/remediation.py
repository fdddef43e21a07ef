"""What a finding on a version in service brings about: a clock with an owner, a grace and an escalation. Pure.

The version keeps serving. A clock is named by its advisory and runs while any component of the version
has that advisory open as critical.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from registry_core.events import Event
from registry_core.events.lifecycle import RemediationClockStarted, RemediationClockStopped
from registry_core.values import Severity, State
from registry_core.version import Version

GRACE: Final = timedelta(days=7)
SERVING: Final = frozenset({State.APPROVED, State.DEPRECATED})
"""States in which a deployment may serve."""


def responsible(version: Version) -> str:
    """Who is warned and who mends: the owner, the backup owner, or at last whoever registered the version."""
    metadata = version.metadata
    return metadata.owner or metadata.backup_owner or version.registered_by


def escalation(version: Version) -> str:
    """Who is told when nobody mended it in time."""
    metadata = version.metadata
    return metadata.escalation or metadata.backup_owner or responsible(version)


def clock_changes(version: Version, *, now: datetime, cause: str) -> Sequence[Event]:
    """Clocks to start and to stop, so that they agree with the open findings; none if they do. `cause`: of a stop."""
    critical = {v.advisory for v in version.vulnerabilities.values() if v.severity == Severity.CRITICAL}
    stopped = sorted(version.clocks.keys() - critical)
    started = sorted(critical - version.clocks.keys()) if _in_service(version) else []
    return [
        *(RemediationClockStopped(ref=version.ref, finding=finding, cause=cause) for finding in stopped),
        *(_start(version, finding, now) for finding in started),
    ]


def _in_service(version: Version) -> bool:
    return version.state in SERVING and bool(version.deployments)


def _start(version: Version, finding: str, now: datetime) -> RemediationClockStarted:
    return RemediationClockStarted(
        ref=version.ref,
        finding=finding,
        owner=responsible(version),
        due=now + GRACE,
        escalate_to=escalation(version),
    )
