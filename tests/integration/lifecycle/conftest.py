"""The lifecycle service over a real log, without Kafka."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from hallmark_lifecycle.bootstrap import build
from registry_core.events import Event, RecordedEvent
from registry_core.events.governance import AccountCreated, RolesChanged
from registry_core.handlers import load
from registry_core.http.app import make_app
from registry_core.identity import account_stream, new_token
from registry_core.messaging.consumer import Consumer
from registry_core.messaging.jobs import JobRunner
from registry_core.projections import Projector, wait_projected
from registry_core.runtime import install_schema
from registry_core.service import Platform, Service, open_platform
from registry_core.settings import Settings
from registry_core.store import ANY, Append
from registry_core.store.sealer import Sealer
from registry_core.version import Version
from support import new


@dataclass(frozen=True, slots=True)
class World:
    """One installation in which only the lifecycle service runs."""

    platform: Platform
    service: Service
    http: httpx.AsyncClient

    async def given(self, stream: str, *events: Event) -> None:
        """These events happened, and are sealed."""
        made = [new(event) for event in events]
        await self.platform.store.append(Append(stream, made, ANY))
        assert await self.platform.store.wait_sealed(made[-1].id, 20) is not None

    async def settle(self) -> None:
        """Let the service do everything that waits for it."""
        consumer = Consumer("lifecycle", self.service.handlers, self.platform.pool, self.platform.clock)
        jobs = JobRunner(
            "lifecycle", self.service.jobs, self.platform.pool, self.platform.notifier, self.platform.clock
        )
        busy = True
        while busy:
            await self._all_sealed()
            behind = await consumer.behind()
            for partition in behind:
                await consumer.advance(partition)
            busy = await jobs.run_next() or bool(behind)

    async def projected(self) -> None:
        """Wait until the views have taken in everything."""
        await self._all_sealed()
        head = await self.platform.pool.fetchval("select next_index from log.sealer_state")
        for projection in self.service.projections:
            assert await wait_projected(self.platform.pool, self.platform.notifier, projection, head - 1, 20)

    async def events(self, stream: str) -> list[RecordedEvent]:
        (found,) = await self.platform.reader.read(stream)
        return found

    async def data(self, stream: str, *types: type[Event]) -> list[Event]:
        return [event.data for event in await self.events(stream) if isinstance(event.data, types)]

    async def version(self, ref: str) -> Version:
        return await load(self.platform.reader, Version(), ref)

    async def token(self, account: str, *roles: str) -> dict[str, str]:
        """A header that authenticates a new account with these roles."""
        text, issued = new_token(account)
        created = AccountCreated(account=account, kind="human", person=account)
        await self.given(account_stream(account), created, RolesChanged(account=account, roles=roles), issued)
        return {"Authorization": f"Bearer {text}"}

    async def get(self, path: str, auth: dict[str, str], **params: Any) -> httpx.Response:
        return await self.http.get(path, headers=auth, params=params)

    async def post(self, path: str, auth: dict[str, str], body: Any, **headers: str) -> httpx.Response:
        return await self.http.post(path, headers=auth | headers, json=body)

    async def _all_sealed(self) -> None:
        sealer = Sealer(self.platform.ledger, 4)
        while await self.platform.pool.fetchval("select count(*) from log.unsealed(1)"):
            await sealer.seal_once()


@pytest.fixture
async def world(settings: Settings) -> AsyncIterator[World]:
    async for made in _worlds(settings):
        yield made


@pytest.fixture
async def strict_world(settings: Settings) -> AsyncIterator[World]:
    """As in production: the clock cannot be moved."""
    async for made in _worlds(settings.model_copy(update={"movable_clock": False})):
        yield made


async def _worlds(settings: Settings) -> AsyncIterator[World]:
    platform = await open_platform(settings)
    service = build(platform)
    await install_schema(settings, [service])
    tasks = _background(platform, service)
    transport = httpx.ASGITransport(make_app(platform, [service]))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://hallmark.test") as http:
            yield World(platform, service, http)
    finally:
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
        platform.terminate()


def _background(platform: Platform, service: Service) -> Sequence[asyncio.Task[None]]:
    """What HTTP waits for: sealing and the views."""
    sealer = Sealer(platform.ledger, 4)
    platform.store.on_append = sealer.wake
    projector = Projector(service.projections, platform.pool, platform.notifier)
    return [asyncio.create_task(loop()) for loop in (platform.notifier.run, sealer.run, projector.run)]
