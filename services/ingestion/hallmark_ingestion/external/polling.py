"""Asks every connected source from time to time what is true, and has what differs looked at."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog
from registry_core.events.sources import ExternalDriftDetected
from registry_core.handlers import StartJob, fold
from registry_core.service import Platform
from registry_core.source_polls import Outcome, record_poll
from registry_core.sources import Source, all_sources, external_stream
from registry_core.store.connections import TRANSIENT
from registry_core.store.model import Append
from registry_core.store.postgres import read_streams
from registry_core.telemetry import POLLS

from hallmark_ingestion.external.asking import SourceAwayError, SourceCredentialError
from hallmark_ingestion.external.observing import KINDS, Observer
from hallmark_ingestion.external.state import External, State, learned

log = structlog.get_logger()

AT_ONCE: Final = 100
"""Streams read, and begun, together."""


@dataclass(frozen=True, slots=True)
class Polled:
    """What one pass over a source did."""

    objects: int = 0
    first_seen: int = 0
    drifts: int = 0


class Poller:
    def __init__(self, platform: Platform, observer: Observer) -> None:
        self._platform, self._observer = platform, observer
        self._known: dict[str, External] = {}
        """By stream, as of its version: a pass over what did not change reads the versions alone."""

    async def run(self) -> None:
        """Every so many seconds, for as long as the service runs."""
        while True:
            await self.turn()
            await asyncio.sleep(self._platform.settings.source_poll_seconds)

    async def turn(self) -> None:
        """One pass over every source. One that is away stands in no other's way."""
        try:
            sources = await all_sources(self._platform.pool)
        except TRANSIENT as error:
            log.warning("sources are not polled for now", reason=repr(error))
            return
        for source in sources:
            if source.connected and source.kind in KINDS and source.url:
                await self._try(source)

    async def _try(self, source: Source) -> None:
        try:
            polled = await self.poll(source)
        except Exception as error:
            log.warning("source not polled", source=source.source, reason=str(error), exc_info=_unforeseen(error))
            await self._told(source, _outcome(error), str(error) or type(error).__name__)
        else:
            log.info("source polled", source=source.source, objects=polled.objects, drifts=polled.drifts)
            await self._told(source, "done")

    async def _told(self, source: Source, outcome: Outcome, reason: str | None = None) -> None:
        """For people and for alerts; a database that is away now takes it the next time."""
        POLLS.labels(source.source, outcome).inc()
        with suppress(*TRANSIENT):
            await record_poll(self._platform.pool, source.source, outcome, reason, self._platform.clock())

    async def poll(self, source: Source) -> Polled:
        """Compare everything there with what is known. Raises SourceAwayError, with nothing concluded.

        The list only says where to look: pages may be torn, and a webhook may be under way. So what seems changed is
        looked at by itself, after the time that a delivery takes.
        """
        known = await self._all_known(source)
        outer = await self._observer.outer(source)
        found = await outer.listing(known.keys())
        seen = {name: external for name, external in known.items() if external.seen}
        changed = [name for name, external in seen.items() if learned("s", name, external, found.get(name, {}))]
        if changed:
            await asyncio.sleep(self._platform.settings.source_settle_seconds)
        drifts = 0
        for name in changed:
            events = await self._observer.observe(source, name)
            drifts += sum(isinstance(event, ExternalDriftDetected) for event in events)
        first = {name: state for name, state in found.items() if name not in seen}
        await self._begin(source, known, first)
        return Polled(len(found), len(first), drifts)

    async def _begin(self, source: Source, known: Mapping[str, External], found: Mapping[str, State]) -> None:
        """Objects seen for the first time. Of one that a renaming began meanwhile, nothing is written."""
        names = sorted(found)
        for first in range(0, len(names), AT_ONCE):
            appends, jobs = list[Append](), dict[UUID, StartJob]()
            for name in names[first : first + AT_ONCE]:
                before = known.get(name, External())
                events = learned(source.source, name, before, found[name])
                jobs |= await self._observer.imports_of(source, name, events, found[name])
                appends.append(self._observer.append_of(source, name, before, events))
            await self._observer.start(jobs)
            await self._observer.append(*appends)

    async def _all_known(self, source: Source) -> dict[str, External]:
        prefix = external_stream(source.source, "")
        rows = await self._platform.pool.fetch(
            "select stream_id, version from log.streams where stream_id >= $1 and stream_id < $2",
            prefix, prefix[:-1] + ";",
        )  # fmt: skip
        moved = [row["stream_id"] for row in rows if self._version_of(row["stream_id"]) != row["version"]]
        for first in range(0, len(moved), AT_ONCE):
            streams = await read_streams(self._platform.pool, moved[first : first + AT_ONCE])
            self._known |= {stream: fold(External(), events) for stream, events in streams.items()}
        return {row["stream_id"].removeprefix(prefix): self._known[row["stream_id"]] for row in rows}

    def _version_of(self, stream: str) -> int:
        return self._known[stream].version if stream in self._known else -1


def _outcome(error: Exception) -> Outcome:
    match error:
        case SourceCredentialError():
            return "refused"
        case SourceAwayError():
            return "away"
        case _:
            return "failed"


def _unforeseen(error: Exception) -> bool:
    return not isinstance(error, TRANSIENT)
