"""What is known of one advisory: state of one `advisory:<id>` stream."""

from dataclasses import dataclass
from datetime import datetime

from registry_core.events import RecordedEvent
from registry_core.events.governance import AdvisoryPublished


@dataclass(frozen=True, slots=True)
class AdvisoryHistory:
    version: int = -1
    modified: datetime | None = None
    digest: str | None = None

    def evolve(self, event: RecordedEvent) -> "AdvisoryHistory":
        data = event.data
        if isinstance(data, AdvisoryPublished):
            return AdvisoryHistory(event.version, data.modified, data.digest)
        return AdvisoryHistory(event.version, self.modified, self.digest)
