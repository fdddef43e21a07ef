"""Loops that count and time what they do."""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter

from bench.workload import Sample


async def for_seconds(seconds: float, *workers: Callable[[], Awaitable[float]]) -> Sample:
    """Let every worker repeat its operation for a time: what they did per second, and how long each took.

    An operation gives how many things it did; 0 says that it is through, and ends its worker.
    """
    latencies, started = list[float](), perf_counter()
    counts = await asyncio.gather(*(_repeat(worker, started + seconds, latencies) for worker in workers))
    return Sample(sum(counts) / (perf_counter() - started), latencies)


async def _repeat(operation: Callable[[], Awaitable[float]], until: float, latencies: list[float]) -> float:
    done, now = 0.0, perf_counter()
    while now < until and (did := await operation()):
        done += did
        before, now = now, perf_counter()
        latencies.append((now - before) * 1000)
    return done


async def timed(operation: Callable[[], Awaitable[float]]) -> Sample:
    """One operation: things per second."""
    started = perf_counter()
    done = await operation()
    return Sample(done / (perf_counter() - started))
