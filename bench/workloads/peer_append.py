"""The same writers and events, through Hallmark and through pyeventsourcing."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from random import Random

from registry_core.store.postgres import PostgresEventStore

from bench.lives import Row, life
from bench.place import Place, pool_of
from bench.timing import for_seconds
from bench.workload import Sample, Sides, ratio_at_least, workload
from bench.workloads.append_concurrent import Writer

WRITERS = 32
SECONDS = 3.0
LIVES = 150  # of each writer in a round; who is through with them ends the round a little early


@workload("peer_append", "events/s", ratio_at_least(5))
async def peer_append(place: Place) -> AsyncIterator[Sides]:
    """32 writers, one typed event each, encoded, versions checked; pyeventsourcing's EventStore.put, 32 threads."""
    async with _beside_eventsourcing(place, bare=False) as sides:
        yield sides


@workload("peer_append_bare", "events/s")
async def peer_append_bare(place: Place) -> AsyncIterator[Sides]:
    """The same; pyeventsourcing's recorder alone, below its event store, fed with events encoded beforehand."""
    async with _beside_eventsourcing(place, bare=True) as sides:
        yield sides


@asynccontextmanager
async def _beside_eventsourcing(place: Place, *, bare: bool) -> AsyncIterator[Sides]:
    async with place.database() as database, pool_of(database) as pool:
        store, random, rounds = PostgresEventStore(pool), Random(place.seed), count()

        async def ours() -> Sample:
            return await for_seconds(SECONDS, *(Writer(store, each, random) for each in _numbers(next(rounds))))

        async def reference() -> Sample:
            events = written(place, (row for each in _numbers(next(rounds)) for n in each for row in life(n, random)))
            measured = await place.peer(
                "bench.peers.eventsourcing_append", dsn=database.owner_dsn, writers=WRITERS, seconds=SECONDS,
                events=str(events), bare=bare,
            )  # fmt: skip
            return Sample(measured["per_second"], measured["latencies"])

        yield Sides(ours, reference)


def _numbers(turn: int) -> list[range]:
    """Versions for each writer, new ones in each round."""
    first = turn * WRITERS * LIVES * 2
    return [range(first + writer * LIVES, first + (writer + 1) * LIVES) for writer in range(WRITERS)]


def written(place: Place, rows: Iterable[Row]) -> Path:
    """The events as JSON lines [stream, version, type, body, time], for a process that knows nothing of Hallmark."""
    path = place.folder / "events.jsonl"
    with path.open("w") as file:
        for row in rows:
            line = [row.stream, row.version, row.type, json.loads(row.body), row.occurred_at.isoformat()]
            file.write(json.dumps(line) + "\n")
    return path
