"""Disturbances that go on while a journey does."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Final, TypeVar

import asyncpg
from faults.cluster import Cluster
from registry_core.service import ALL
from registry_core.settings import Settings
from registry_core.store.connections import TRANSIENT
from support import until

T = TypeVar("T")
MOST_KILLS: Final = 100
"""In one journey."""


async def meanwhile(journey: Awaitable[T], disturbance: Awaitable[None]) -> T:
    """The journey's outcome, under a disturbance that ends with it; what goes wrong there goes wrong here."""
    walking, disturbing = asyncio.ensure_future(journey), asyncio.ensure_future(disturbance)
    try:
        await asyncio.wait([walking, disturbing], return_when=asyncio.FIRST_COMPLETED)
        if disturbing.done():
            await disturbing
        return await walking
    finally:
        disturbing.cancel()
        with suppress(asyncio.CancelledError):
            await disturbing


async def kill_at_random(services: Cluster, random: Random) -> None:
    """SIGKILL for a random service, again and again; bounded, so that a slow machine comes to an end, too."""
    while services.kills.total() < MOST_KILLS:
        await asyncio.sleep(random.uniform(0.2, 1.5))  # the disturbance's own pace: nothing is synchronised by it
        services.kill(random.choice(ALL))


async def at_sizes(settings: Settings, sizes: Sequence[int], disturb: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """One disturbance after the other, each when the log has grown to a size."""
    for size, strike in zip(sizes, disturb, strict=True):
        await until(lambda size=size: _has_grown(settings, size), seconds=300)  # type: ignore[misc]  # mypy cannot type a lambda's default
        await strike()


async def _has_grown(settings: Settings, size: int) -> bool:
    try:
        connection = await asyncpg.connect(settings.postgres_dsn.get_secret_value(), timeout=5)
        try:
            return bool(await connection.fetchval("select next_index >= $1 from log.sealer_state", size))
        finally:
            connection.terminate()
    except TRANSIENT:
        return False
