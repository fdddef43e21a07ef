"""What sources that only announce have said of an object, and what of the next announcement is news. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from registry_core.events import RecordedEvent
from registry_core.events.sources import Difference, ExternalChangeAnnounced


@dataclass(frozen=True, slots=True)
class Announced:
    """State of one `external:<source>:<object>` stream."""

    version: int = -1
    state: Mapping[str, Any] = field(default_factory=dict)
    """By aspect; what is not there is absent."""
    at: Mapping[str, datetime] = field(default_factory=dict)
    """When each aspect was last said to change."""

    def evolve(self, event: RecordedEvent) -> "Announced":
        if not isinstance(event.data, ExternalChangeAnnounced):
            return replace(self, version=event.version)
        changed = {each.aspect: each.after for each in event.data.differences}
        state = {name: value for name, value in {**self.state, **changed}.items() if value is not None}
        return Announced(event.version, state, {**self.at, **dict.fromkeys(changed, event.occurred_at)})


def news(
    known: Announced, heard: Mapping[str, datetime], after: Mapping[str, Any], at: datetime
) -> tuple[Difference, ...]:
    """What is told of an object and was not known; what is older than the last word on it (`heard`) is none."""
    return tuple(
        Difference(aspect=aspect, before=known.state.get(aspect), after=value)
        for aspect, value in after.items()
        if known.state.get(aspect) != value and max(known.at.get(aspect, at), heard.get(aspect, at)) <= at
    )
