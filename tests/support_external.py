"""A source in a test: connected, polled, and asked what was learned."""

import json
from dataclasses import dataclass

from hallmark_ingestion.external.observing import Observer
from hallmark_ingestion.external.polling import Poller
from hallmark_ingestion.external.state import External
from registry_core.events import Event
from registry_core.events.sources import Difference, ExternalDriftDetected, SourceConnected
from registry_core.handlers import load
from registry_core.service import Platform
from registry_core.sources import Source, external_stream, find_source, source_stream
from registry_core.store.model import ANY, Append
from support import new


async def connect(platform: Platform, kind: str, url: str, name: str = "src", account: str = "importer") -> Source:
    connected = SourceConnected(source=name, kind=kind, account=account, url=url, connected_by="root")
    event = new(connected, occurred_at=platform.clock())
    await platform.store.append(Append(source_stream(name), [event], ANY))
    return await find_source(platform.reader, name)


async def jobs_of(platform: Platform, kind: str) -> list[dict[str, str]]:
    """The payloads of this kind's jobs, whatever became of them."""
    rows = await platform.pool.fetch("select payload::text from work.jobs where kind = $1", kind)
    return [json.loads(row["payload"]) for row in rows]


@dataclass(frozen=True, slots=True)
class Place:
    platform: Platform
    observer: Observer
    poller: Poller

    async def events(self, name: str, source: str = "src") -> list[Event]:
        (found,) = await self.platform.reader.read(external_stream(source, name))
        return [event.data for event in found]

    async def known(self, name: str, source: str = "src") -> External:
        return await load(self.platform.reader, External(), external_stream(source, name))

    async def drifts(self, name: str, source: str = "src") -> list[Difference]:
        found = await self.events(name, source)
        return [event.difference for event in found if isinstance(event, ExternalDriftDetected)]
