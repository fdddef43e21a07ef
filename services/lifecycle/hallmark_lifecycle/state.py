"""One version as the lifecycle sees it: its state, its agenda, and where it came from when it was suspended. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from registry_core.events import RecordedEvent
from registry_core.events.lifecycle import VersionSuspended
from registry_core.handlers import fold
from registry_core.moments import Moment
from registry_core.values import State
from registry_core.version import Version

from hallmark_lifecycle import agenda
from hallmark_lifecycle.agenda import Agenda


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Folded from the version's own stream."""

    of: Version = field(default_factory=Version)
    agenda: Agenda = field(default_factory=dict)
    suspended_from: State | None = None

    @property
    def version(self) -> int:
        return self.of.version

    def evolve(self, event: RecordedEvent) -> "Lifecycle":
        suspended = isinstance(event.data, VersionSuspended)
        return Lifecycle(
            self.of.evolve(event),
            agenda.evolve(self.agenda, event.data),
            self.of.state if suspended else self.suspended_from,
        )


def known_at(events: Sequence[RecordedEvent], at: datetime) -> Version:
    """The version as the registry knew it at that time."""
    return fold(Version(), Moment(known_at=at).of(events))
