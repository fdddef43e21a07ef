"""Fills a log fast: rows go in by COPY as the owner's, then the real sealer seals them, with leaves and tiles."""

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from itertools import islice

import asyncpg
from registry_core.store import schema
from registry_core.store.connections import Pool
from registry_core.store.sealer import Sealer

from bench.lives import Row, rows
from bench.place import Database, Place, ledger_pool_of

PARTITIONS = 4
_BATCH = 50_000
COLUMNS = (
    "stream_id", "version", "event_id", "type", "body", "body_sha256", "actor", "occurred_at", "correlation_id",
)  # fmt: skip
_STREAMS = "insert into log.streams (stream_id, version) select stream_id, max(version) from log.events group by 1"


def records(made: Iterable[Row]) -> Iterator[tuple[object, ...]]:
    """As COPY takes them, in the order of COLUMNS."""
    for row in made:
        yield (*row[:5], sha256(row.body).digest(), *row[5:])


async def fill(database: Database, made: Iterator[Row], told: Callable[[int], None] = lambda done: None) -> int:
    """Write rows into `log.events`, unsealed; `told` hears how many. Streams are not entered: see `finish`."""
    connection, done = await asyncpg.connect(database.owner_dsn), 0
    try:
        while batch := list(records(islice(made, _BATCH))):
            await connection.copy_records_to_table("events", schema_name="log", columns=COLUMNS, records=batch)
            done += len(batch)
            told(done)
    finally:
        await connection.close()
    return done


async def seal_all(pool: Pool) -> int:
    """How many events that were."""
    sealer, sealed = Sealer(pool, PARTITIONS), 0
    while count := await sealer.seal_once():
        sealed += count
    return sealed


async def filled(place: Place, count: int, told: Callable[[str], None] = lambda text: None) -> Database:
    """A database with `count` sealed events, made at the first call and kept for later runs: only read from it.

    For a workload that writes, `place.database(template=….name)` gives a copy.
    """
    database = place.named(f"filled_{count}")
    connection = await asyncpg.connect(place.server.admin_dsn)
    try:
        if await connection.fetchval("select 1 from pg_database where datname = $1", database.name):
            await schema.install(database.owner_dsn)  # it may have been made by an earlier build
            return database
        half = place.named(f"{database.name}_half")
        await connection.execute(f"drop database if exists {half.name} with (force)")
        await connection.execute(f"create database {half.name}")
        await _fill_whole(half, count, place.seed, told)
        await connection.execute(f"alter database {half.name} rename to {database.name}")
    finally:
        await connection.close()
    return database


async def warm(database: Database) -> None:
    """Have the system read the whole log once: what is compared is the query, not how long ago the disk was read."""
    connection = await asyncpg.connect(database.owner_dsn)
    try:
        await connection.execute("create extension if not exists pg_prewarm")
        await connection.execute(
            """select pg_prewarm(oid, 'read') from pg_class
                where relnamespace = 'log'::regnamespace and relkind in ('r', 'i')"""
        )
    finally:
        await connection.close()


async def keep(place: Place, database: Database, count: int) -> None:
    """For `filled`, instead of what it may have."""
    connection, name = await asyncpg.connect(place.server.admin_dsn), place.named(f"filled_{count}").name
    try:
        await connection.execute(f"drop database if exists {name} with (force)")
        await connection.execute(f"alter database {database.name} rename to {name}")
    finally:
        await connection.close()


async def _fill_whole(database: Database, count: int, seed: int, told: Callable[[str], None]) -> None:
    await schema.install(database.owner_dsn)
    await fill(database, rows(count, seed), lambda done: told(f"filling: {done:,} of {count:,} events"))
    await finish(database)
    told(f"sealing {count:,} events")
    async with ledger_pool_of(database) as pool:
        await seal_all(pool)
    await finish(database)


async def finish(database: Database) -> None:
    """Enter the streams, so that events can be appended to them, and bring statistics and visibility up to date."""
    connection = await asyncpg.connect(database.owner_dsn)
    try:
        await connection.execute(f"{_STREAMS} on conflict (stream_id) do update set version = excluded.version")
        await connection.execute("vacuum (analyze)")
    finally:
        await connection.close()
