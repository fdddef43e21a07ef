"""Disturbances that go on while a journey does."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import TypeVar

from faults.cluster import Cluster
from registry_core.service import ALL

T = TypeVar("T")


async def meanwhile(journey: Awaitable[T], disturb: Callable[[], Awaitable[None]]) -> T:
    """The journey's outcome, under a disturbance that ends with it; what goes wrong there goes wrong here."""
    disturbance = asyncio.ensure_future(disturb())
    walking = asyncio.ensure_future(journey)
    await asyncio.wait([walking, disturbance], return_when=asyncio.FIRST_COMPLETED)
    if disturbance.done() and disturbance.exception():
        walking.cancel()
        await disturbance
    try:
        return await walking
    finally:
        disturbance.cancel()
        with suppress(asyncio.CancelledError):
            await disturbance


async def kill_at_random(services: Cluster, random: Random) -> None:
    """SIGKILL for a random service, again and again. The pauses are the disturbance's own pace: nothing waits on them."""
    while True:
        await asyncio.sleep(random.uniform(0.2, 1.5))
        services.kill(random.choice(ALL))
