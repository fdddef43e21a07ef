"""Pipelines' events over HTTP, acknowledged once durable, beside a bare Litestar route that only validates."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from registry_core.local import ports as free

from bench.ingesting import ingestion
from bench.load import Client, clients, server
from bench.place import Place
from bench.registrations import registrations
from bench.timing import for_seconds
from bench.workload import Sample, Sides, ratio_at_least, workload

SECONDS = 4.0
CLIENTS, BATCHING_CLIENTS = 32, 4
BATCH = 100
_LAG = re.compile(rb"^hallmark_consumer_lag\{.*\} ([0-9.e+]+)$", re.MULTILINE)
STRUCTURED, BATCHED = "application/cloudevents+json", "application/cloudevents-batch+json"


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests of one side go."""

    port: int
    path: str
    headers: dict[str, str]


@workload("ingest_http", "events/s", ratio_at_least(0.3))
async def ingest_http(place: Place) -> AsyncIterator[Sides]:
    """32 clients send an event a request, authenticated, validated and durable; a bare route validates the same."""
    async with _both(place, "/v1/events", STRUCTURED) as (hallmark, bare):
        events = registrations()
        yield Sides(lambda: _ingested(hallmark, CLIENTS, events, 1), lambda: _sent(bare, CLIENTS, events, 1))


@workload("ingest_http_batch", "events/s", ratio_at_least(0.3))
async def ingest_http_batch(place: Place) -> AsyncIterator[Sides]:
    """The same with 4 clients and 100 events a request."""
    async with _both(place, "/v1/batches", BATCHED) as (hallmark, bare):
        events = registrations()
        yield Sides(
            lambda: _sent(hallmark, BATCHING_CLIENTS, events, BATCH),
            lambda: _sent(bare, BATCHING_CLIENTS, events, BATCH),
        )


@asynccontextmanager
async def _both(place: Place, bare_path: str, content_type: str) -> AsyncIterator[tuple[Target, Target]]:
    """One process of ingestion, with the ledger that seals beside it, and one of the bare route."""
    port = free.choose()
    program = (sys.executable, "-m", "bench.bare", str(port))
    async with ingestion(place, 1) as ((ours,), token), server(*program, health="/health/ready", port=port):
        yield (
            Target(ours, "/v1/events", {"authorization": f"Bearer {token}", "content-type": content_type}),
            Target(port, bare_path, {}),
        )


async def _ingested(target: Target, count: int, events: Iterator[bytes], at_once: int) -> Sample:
    """What follows from each event goes on beside, and has to be through before the other side is measured."""
    sample = await _sent(target, count, events, at_once)
    async with clients(target.port, 1) as (client,):
        while not (await _nothing_waits(client) and await _nothing_waits(client)):
            pass
    return sample


async def _nothing_waits(client: Client) -> bool:
    """A second later, by which time the service has looked once more what it has not handled."""
    await asyncio.sleep(1.2)
    _, metrics = await client.ask("GET", "/metrics", b"", {})
    return not any(float(lag) for lag in _LAG.findall(metrics))


async def _sent(target: Target, count: int, events: Iterator[bytes], at_once: int) -> Sample:
    async with clients(target.port, count) as opened:
        return await for_seconds(SECONDS, *(_sender(target, client, events, at_once) for client in opened))


def _sender(
    target: Target, client: Client, events: Iterator[bytes], at_once: int
) -> Callable[[], Coroutine[Any, Any, float]]:
    async def send() -> float:
        body = next(events) if at_once == 1 else b"[" + b",".join(islice(events, at_once)) + b"]"
        status, answer = await client.ask("POST", target.path, body, target.headers)
        if not 200 <= status < 300 or b'"type"' in answer:
            raise RuntimeError(f"{target.path} answered {status}: {answer[:500].decode('utf-8', 'replace')}")
        return at_once

    return send
