"""How soon an append shows: acknowledged, in the view, and at a subscriber's over HTTP."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from random import Random
from statistics import quantiles
from time import perf_counter
from uuid import UUID, uuid4

from registry_core.events import Event, NewEvent, Origin
from registry_core.events.governance import AccountCreated, RolesChanged
from registry_core.identity import account_stream, new_token
from registry_core.runtime import run_services
from registry_core.service import Platform
from registry_core.settings import Settings
from registry_core.store import ANY, Append

from bench.lives import life, new_event
from bench.place import Database, Place
from bench.workload import Sample, Sides, p99_at_most, ratio_at_most, workload

RATE, SECONDS = 500, 6.0
VIEW = "version_timeline"


@asynccontextmanager
async def _subscribed(url: str, token: str, rows: int) -> AsyncIterator[asyncio.StreamReader]:
    """A client of the view's live subscription, listening; its output, as `bench.subscriber` tells."""
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.subscriber", f"{url}/v1/views/{VIEW}/live", token, str(rows),
        stdout=asyncio.subprocess.PIPE, limit=16 * 1024 * 1024,
    )  # fmt: skip
    assert client.stdout
    try:
        if await client.stdout.readline() != b"listening\n":
            raise RuntimeError("the subscriber does not listen")
        yield client.stdout
    finally:
        with suppress(ProcessLookupError):
            client.kill()
        await client.wait()


@workload("visible", "ms, p99", ratio_at_most(10), p99_at_most(25))
async def visible(place: Place) -> AsyncIterator[Sides]:
    """Append to row at an SSE client of the HTTP server, 500 events/s; the same append to its acknowledgement."""
    async with place.database() as database, _served(place, database) as (platform, url, token):
        events = _endless(place.seed)

        async def ours() -> Sample:
            return await _measured(platform, url, token, events, shown=True)

        async def reference() -> Sample:
            return await _measured(platform, url, token, events, shown=False)

        yield Sides(ours, reference)


@asynccontextmanager
async def _served(place: Place, database: Database) -> AsyncIterator[tuple[Platform, str, str]]:
    """Ledger, console and their HTTP in this process, as `hallmark up` runs them."""
    settings = Settings(
        port=0, data_dir=place.folder / f"visible-{database.name}", log_level="warning",
        postgres_dsn=database.service_dsn, postgres_owner_dsn=database.owner_dsn,
        postgres_ledger_dsn=place.server.dsn_of(database.name, role="hallmark_ledger"),
    )  # fmt: skip
    started: asyncio.Future[tuple[Platform, int]] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()

    async def tell(platform: Platform, port: int) -> None:
        started.set_result((platform, port))

    running = asyncio.create_task(run_services(settings, ["ledger", "console"], tell, stop))
    try:
        platform, port = await started
        yield platform, f"http://127.0.0.1:{port}", await _token(platform)
    finally:
        stop.set()
        await asyncio.gather(running, return_exceptions=True)


async def _token(platform: Platform) -> str:
    token, issued = new_token("viewer")
    created = AccountCreated(account="viewer", kind="human", person="viewer")
    roles = RolesChanged(account="viewer", roles=("viewer",))
    made = [_as_new(platform, event) for event in (created, roles, issued)]
    await platform.store.append(Append(account_stream("viewer"), made, ANY))
    return token


def _as_new(platform: Platform, event: Event) -> NewEvent:
    origin = Origin(actor="bench", occurred_at=platform.clock(), correlation_id=uuid4())
    return NewEvent(id=uuid4(), data=event, origin=origin)


@dataclass(slots=True)
class _Sent:
    """When an event was handed in, and when that was acknowledged."""

    at: dict[UUID, float] = field(default_factory=dict)
    acknowledged: dict[UUID, float] = field(default_factory=dict)


async def _measured(platform: Platform, url: str, token: str, events: Iterator[NewEvent], *, shown: bool) -> Sample:
    """RATE events per second for SECONDS, while a client is subscribed: latencies in ms, and their 99th percentile."""
    sent = _Sent()
    async with _subscribed(url, token, int(RATE * SECONDS)) as output:
        await _send(platform, events, sent)
        indexes = await _log_indexes(platform, list(sent.at))
        async with asyncio.timeout(30):
            arrived = json.loads(await output.readline())
    if shown:
        latencies = [arrived[str(indexes[event])] - at for event, at in sent.at.items()]
    else:
        latencies = [sent.acknowledged[event] - at for event, at in sent.at.items()]
    in_ms = [1000 * seconds for seconds in latencies]
    return Sample(quantiles(in_ms, n=100, method="inclusive")[98], in_ms)


async def _send(platform: Platform, events: Iterator[NewEvent], sent: _Sent) -> None:
    async def one(event: NewEvent) -> None:
        sent.at[event.id] = perf_counter()
        await platform.store.append(Append(event.data.ref, [event], ANY))  # type: ignore[attr-defined]  # all have one
        sent.acknowledged[event.id] = perf_counter()

    started = perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(RATE * SECONDS)):
            await asyncio.sleep(started + number / RATE - perf_counter())
            tasks.create_task(one(next(events)))


async def _log_indexes(platform: Platform, ids: list[UUID]) -> dict[UUID, int]:
    for event in ids:
        await platform.store.wait_sealed(event, 30)
    rows = await platform.pool.fetch(
        "select event_id, log_index from log.events join log.sealed using (position) where event_id = any($1)", ids
    )
    return {row["event_id"]: row["log_index"] for row in rows}


def _endless(seed: int) -> Iterator[NewEvent]:
    random = Random(seed)
    return (new_event(row) for number in count() for row in life(number, random))
