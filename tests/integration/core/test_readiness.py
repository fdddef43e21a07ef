"""`/health/ready`: the database answers, by a clock that agrees with this machine's."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from conftest import Database
from registry_core.clock import system_clock
from registry_core.moments import CLOCK_TOLERANCE
from registry_core.service import open_platform
from registry_core.settings import Settings
from support import http

Off = Callable[[timedelta], AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def clock_off(database: Database, tmp_path: Path) -> Off:
    """A server whose clock differs from the database's by so much."""

    @asynccontextmanager
    async def serve(difference: timedelta) -> AsyncIterator[httpx.AsyncClient]:
        settings = Settings(data_dir=tmp_path, postgres_dsn=database.service_dsn)
        platform = await open_platform(settings, lambda: system_clock() + difference)
        try:
            async with http(platform, []) as client:
                yield client
        finally:
            platform.terminate()

    return serve


@pytest.mark.parametrize("sign", [1, -1])
async def test_a_clock_that_is_off_by_more_than_is_borne_is_not_ready_and_says_by_how_much(
    clock_off: Off, sign: int
) -> None:
    async with clock_off(sign * (CLOCK_TOLERANCE + timedelta(minutes=1))) as client:
        answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert answer.json()["reason"].startswith(f"this machine's clock is {sign * 360:+d} s from the database's")


@pytest.mark.parametrize("sign", [1, -1])
async def test_what_clocks_usually_differ_by_is_borne(clock_off: Off, sign: int) -> None:
    async with clock_off(sign * (CLOCK_TOLERANCE - timedelta(minutes=1))) as client:
        answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)
