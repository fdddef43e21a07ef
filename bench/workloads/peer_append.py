"""The same writers and events, through Hallmark and through pyeventsourcing."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from itertools import count
from random import Random
from urllib.parse import parse_qs, urlsplit

from registry_core.store.postgres import PostgresEventStore

from bench.lives import life
from bench.place import Database, Place, pool_of
from bench.timing import for_seconds
from bench.workload import Sample, Sides, ratio_at_least, workload
from bench.workloads.append_concurrent import Writer

WRITERS = 32
SECONDS = 3.0
LIVES = 150  # of each writer in a round; who is through with them ends the round a little early


@workload("peer_append", "events/s", ratio_at_least(5))
async def peer_append(place: Place) -> AsyncIterator[Sides]:
    """32 writers, one event each, versions checked; the same by pyeventsourcing on the same PostgreSQL."""
    async with place.database() as database, pool_of(database) as pool:
        store, random, rounds = PostgresEventStore(pool), Random(place.seed), count()

        async def ours() -> Sample:
            return await for_seconds(SECONDS, *(Writer(store, each, random) for each in _numbers(next(rounds))))

        async def reference() -> Sample:
            path = place.folder / "events.jsonl"
            with path.open("w") as file:
                for row in (row for each in _numbers(next(rounds)) for n in each for row in life(n, random)):
                    file.write(json.dumps([row.stream, row.version, row.type, b64encode(row.body).decode()]) + "\n")
            measured = await place.peer(
                "bench.peers.eventsourcing_append", **_address(database), writers=WRITERS, seconds=SECONDS,
                events=str(path),
            )  # fmt: skip
            return Sample(measured["per_second"], measured["latencies"])

        yield Sides(ours, reference)


def _numbers(turn: int) -> list[range]:
    """Versions for each writer, new ones in each round."""
    first = turn * WRITERS * LIVES * 2
    return [range(first + writer * LIVES, first + (writer + 1) * LIVES) for writer in range(WRITERS)]


def _address(database: Database) -> dict[str, str]:
    parts = urlsplit(database.owner_dsn)
    query = parse_qs(parts.query)
    return {"host": query["host"][0], "port": query["port"][0], "user": parts.username or "", "dbname": database.name}
