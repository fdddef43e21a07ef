"""Looks at one object of a source, and records what is learned from that."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Final
from uuid import UUID

import httpx
import structlog
from registry_core.events import Event, NewEvent, Origin, derived_id
from registry_core.events.base import NAMESPACE
from registry_core.events.sources import Difference
from registry_core.handlers import Effect, Reader, StartJob, load
from registry_core.messaging.unit_of_work import enqueue
from registry_core.problems import conflict
from registry_core.service import Platform
from registry_core.sources import Source, external_stream, find_source
from registry_core.store.model import Append, Appended, Conflict
from registry_core.telemetry import APPENDED
from registry_core.values import sha256_digest

from hallmark_ingestion.external.asking import Asking, authorization
from hallmark_ingestion.external.huggingface import HuggingFace
from hallmark_ingestion.external.looking import Look, Outer
from hallmark_ingestion.external.mlflow import Mlflow
from hallmark_ingestion.external.state import (
    RENAMED,
    Announcement,
    External,
    State,
    learned,
    renamed,
)

log = structlog.get_logger()

ATTEMPTS: Final = 20
ACTOR: Final = "service:ingestion"
"""Who saw it; who did it is not known."""
OBSERVE: Final = "observe"
IMPORT: Final = "import-version"
KINDS: Final[Mapping[str, Callable[[Asking], Outer]]] = {"mlflow": Mlflow, "huggingface": HuggingFace}
"""Sources that can be asked what is true."""


class Observer:
    """Any number may look at once: what is learned twice is written once, by its id and the stream's version."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        """Made at first use: reading the certificates takes a while."""
        return httpx.AsyncClient()

    async def asking(self, source: Source) -> Asking:
        """The source's HTTP API, in our name. Raises PrivacyKeyError."""
        headers = authorization(await self._platform.source_secrets.credential(self._platform.pool, source.source))
        return self.asking_of(source.source, source.url, headers)

    def asking_of(self, name: str, url: str, headers: Mapping[str, str], credentials: str = "") -> Asking:
        return Asking(name, url, headers, self._client, credentials)

    async def outer(self, source: Source) -> Outer:
        return KINDS[source.kind](await self.asking(source))

    async def job(self, payload: Mapping[str, Any], reader: Reader) -> Sequence[Effect]:
        """Job `observe`: {"source", "object", "delivery": its id or None, "announces": aspects that it speaks of}."""
        source = await find_source(reader, payload["source"])
        if not source.connected or source.kind not in KINDS or not source.url:
            log.info("not looked at: the source is not connected, or cannot be asked", source=payload["source"])
            return []
        delivery = payload.get("delivery")
        told = Announcement(delivery, payload.get("announces") or ()) if delivery else None
        await self.observe(source, payload["object"], told)
        return []

    async def observe(self, source: Source, name: str, told: Announcement | None = None) -> list[Event]:
        """Look, and record; what was learned. Raises SourceAwayError, with nothing recorded."""
        stream, outer = external_stream(source.source, name), await self.outer(source)
        for _ in range(ATTEMPTS):
            known = await load(self._platform.reader, External(), stream)
            look = await outer.look(name, known.state)
            learnt = await self._record(source, name, known, look, told)
            if learnt is not None:
                return learnt
        raise conflict(f"{stream} changed {ATTEMPTS} times while it was looked at", "look again")

    async def _record(
        self, source: Source, name: str, known: External, look: Look, told: Announcement | None
    ) -> list[Event] | None:
        """None where somebody else was faster."""
        if look.renamed_to and _tells_of_renaming(told, known) and not await self._is_known(source, look.renamed_to):
            return await self._record_renaming(source, name, known, look, told)
        events = learned(source.source, name, known, {} if look.renamed_to else look.state, told)
        await self.start(await self.imports_of(source, name, events, look.state))
        return events if await self.append(self.append_of(source, name, known, events)) else None

    async def _is_known(self, source: Source, name: str) -> bool:
        """What was seen beside another object is not that object under a new name."""
        return (await load(self._platform.reader, External(), external_stream(source.source, name))).seen

    async def _record_renaming(
        self, source: Source, name: str, known: External, look: Look, told: Announcement | None
    ) -> list[Event] | None:
        """On the stream of the new name first: a kill after that leaves the old one to be found gone again."""
        new = look.renamed_to or ""
        gone, begun = renamed(source.source, name, new, known, look.state, announcement=told)
        if not await self.append(self.append_of(source, new, External(), begun)):
            return None
        return [*gone, *begun] if await self.append(self.append_of(source, name, known, gone)) else None

    def append_of(self, source: Source, name: str, known: External, events: Sequence[Event]) -> Append:
        return append_of(source, name, known, events, self._platform.clock())

    async def append(self, *appends: Append) -> bool:
        """False where a stream had moved on."""
        wanted = [append for append in appends if append.events]
        results = await self._platform.store.append(*wanted) if wanted else []
        for append, result in zip(wanted, results, strict=True):
            for event in append.events if isinstance(result, Appended) and not result.duplicate else []:
                APPENDED.labels(event.data.type).inc()
        return not any(isinstance(result, Conflict) for result in results)

    async def imports_of(
        self, source: Source, name: str, events: Sequence[Event], state: State
    ) -> dict[UUID, StartJob]:
        """Versions that came or changed, and are there, are to be fetched; again does no harm."""
        if not source.connected_at or not events:
            return {}
        wanted = (await self.outer(source)).to_import(events, state, source.connected_at)
        return {
            derived_id(NAMESPACE, IMPORT, source.source, name, version, json.dumps(facts, sort_keys=True)): StartJob(
                IMPORT, {"source": source.source, "object": name, "version": version}
            )
            for version, facts in wanted.items()
        }

    async def start(self, jobs: Mapping[UUID, StartJob]) -> None:
        """Before the events are written, so that a kill between the two forgets none."""
        if jobs:
            async with self._platform.pool.acquire() as connection, connection.transaction():
                await enqueue(connection, "ingestion", jobs)


def _tells_of_renaming(told: Announcement | None, known: External) -> bool:
    """A poll does of whatever is known; a delivery where it says so, of what has a past to be carried over."""
    return told is None or (known.seen and told.explains(Difference(aspect=RENAMED)))


def append_of(source: Source, name: str, known: External, events: Sequence[Event], now: datetime) -> Append:
    """The same events decided on the same state have the same ids, whoever decides."""
    stream = external_stream(source.source, name)
    decided_on = derived_id(NAMESPACE, stream, known.version)
    origin = Origin(actor=ACTOR, occurred_at=now, correlation_id=decided_on)
    new = [
        NewEvent(id=derived_id(decided_on, n, data.type, sha256_digest(data.encode())), data=data, origin=origin)
        for n, data in enumerate(events)
    ]
    return Append(stream, new, known.version)
