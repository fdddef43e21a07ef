"""The whole journey, on real PostgreSQL, a real broker and real HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hallmark.cli.administrator import first_token
from hallmark_demo.journey import Site, run_journey
from registry_core.runtime import run_services
from registry_core.service import ALL, Platform
from registry_core.settings import Settings
from rich.console import Console

pytestmark = [pytest.mark.e2e, pytest.mark.messaging]


@asynccontextmanager
async def site(settings: Settings) -> AsyncIterator[Site]:
    ready: asyncio.Future[Site] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()

    async def started(platform: Platform, port: int) -> None:
        token = await first_token(platform)
        ready.set_result(Site(f"http://127.0.0.1:{port}", token or "", settings.kafka_bootstrap))

    running = asyncio.create_task(run_services(settings, ALL, started, stop))
    await asyncio.wait([ready, running], return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        await running
    try:
        yield ready.result()
    finally:
        stop.set()
        await running


async def test_the_journey(settings: Settings, tmp_path: Path) -> None:
    async with site(settings) as place:
        outcome = await asyncio.to_thread(run_journey, place, tmp_path, Console(force_terminal=True, width=120))
    print(outcome.seconds)
    assert outcome.verified
    assert outcome.verified.ok
