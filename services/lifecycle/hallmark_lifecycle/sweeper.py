"""Finds versions that are due and does what `sweep.due_events` says, in the background and on demand."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import structlog
from registry_core.events import NewEvent, Origin, derived_id
from registry_core.handlers import load
from registry_core.problems import conflict
from registry_core.service import Platform
from registry_core.store.connections import TRANSIENT
from registry_core.store.model import Append, Conflict
from registry_core.telemetry import current_traceparent

from hallmark_lifecycle.projections import DUE
from hallmark_lifecycle.state import Lifecycle
from hallmark_lifecycle.sweep import due_events

log = structlog.get_logger()

PAGE = 500
ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Sweep:
    """One pass: as of when, and on whose behalf."""

    as_of: datetime
    actor: str
    id: UUID


@dataclass(frozen=True, slots=True)
class Done:
    ref: str
    event: NewEvent


@dataclass(frozen=True, slots=True)
class Swept:
    appended: list[Done] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Versions that could not be swept, and why."""


class Sweeper:
    """The index `due` only says where to look; each version's own stream decides. Any number may sweep at once."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def sweep(self, sweep: Sweep) -> Swept:
        """One pass. A version that cannot be swept stands in no other's way. Raises what is TRANSIENT."""
        swept = Swept()
        async for ref in self._due(sweep.as_of):
            try:
                swept.appended.extend(Done(ref, event) for event in await self._settle(ref, sweep))
            except TRANSIENT:
                raise
            except Exception as error:
                log.exception("version not swept", ref=ref)
                swept.failed[ref] = f"{type(error).__name__}: {error}"[:1000]
        return swept

    async def _due(self, as_of: datetime) -> AsyncIterator[str]:
        query = f"""select key from views.{DUE.name}
                     where next_at <= $1 and key > $2 order by key limit {PAGE}"""
        page: Sequence[Any] = [{"key": ""}]
        while page:
            page = await self._platform.pool.fetch(query, as_of, page[-1]["key"])
            for row in page:
                yield row["key"]

    async def _settle(self, ref: str, sweep: Sweep) -> Sequence[NewEvent]:
        """Decide on the version's stream; decide anew when it moved on meanwhile."""
        for _ in range(ATTEMPTS):
            state = await load(self._platform.reader, Lifecycle(), ref)
            events = self._events(ref, state, sweep)
            if not events:
                return []
            (result,) = await self._platform.store.append(Append(ref, events, state.version))
            if not isinstance(result, Conflict):
                return events
        raise conflict(f"{ref} changed {ATTEMPTS} times while it was swept", "sweep again")

    def _events(self, ref: str, state: Lifecycle, sweep: Sweep) -> list[NewEvent]:
        origin = Origin(
            actor=sweep.actor,
            occurred_at=sweep.as_of,
            correlation_id=sweep.id,
            traceparent=current_traceparent(),
        )
        due = due_events(state, sweep.as_of)
        return [
            NewEvent(id=derived_id(sweep.id, ref, state.version, n), data=data, origin=origin)
            for n, data in enumerate(due)
        ]


class Scheduler:
    """Sweeps as of now, every so many seconds, for as long as the service runs."""

    def __init__(self, platform: Platform, sweeper: Sweeper, tidy: Callable[[], Awaitable[None]]) -> None:
        self._platform, self._sweeper, self._tidy = platform, sweeper, tidy

    async def run(self) -> None:
        while True:
            await self.turn()
            await asyncio.sleep(self._platform.settings.sweep_seconds)

    async def turn(self) -> None:
        """One sweep, and what is to be tidied up after; without a database the next turn makes up for it."""
        try:
            sweep = Sweep(self._platform.clock(), "service:lifecycle", uuid4())
            swept = await self._sweeper.sweep(sweep)
            await self._tidy()
            log.debug("swept", events=len(swept.appended), failed=len(swept.failed))
        except TRANSIENT as error:
            log.warning("sweep waits", reason=repr(error))
