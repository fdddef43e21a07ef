"""What a batch of events brought about, committed together with the watermark (or job) that says it was done."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

import asyncpg

from registry_core.clock import Clock
from registry_core.events import Event, NewEvent, RecordedEvent, derived_id
from registry_core.handlers import Cause, Effect, Emit, Execute, StartJob, as_append
from registry_core.store.appending import append_batch, existing_ids
from registry_core.store.connections import Connection, Pool
from registry_core.store.model import Append, Conflict
from registry_core.store.postgres import read_streams, read_types
from registry_core.telemetry import current_traceparent

Commit = Callable[[Connection], Awaitable[None]]


class StaleReadError(Exception):
    """A stream moved on between being read and being appended to: read again and decide anew."""


class PoolReader:
    """Reads for whoever holds no transaction: jobs and HTTP handlers."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool, self._clock = pool, clock

    @property
    def now(self) -> datetime:
        return self._clock()

    async def read(self, *streams: str) -> list[list[RecordedEvent]]:
        found = await read_streams(self._pool, streams)
        return [found[stream] for stream in streams]

    async def read_only(self, stream: str, *types: type[Event]) -> list[RecordedEvent]:
        return await read_types(self._pool, stream, types)


class UnitOfWork:
    """Collects effects; reads see what was collected, because a read of a touched stream commits first."""

    def __init__(self, connection: Connection, service: str, clock: Clock, commit: Callable[[], Commit]) -> None:
        self._connection, self._service, self._clock, self._progress = connection, service, clock, commit
        self._appends: list[Append] = []
        self._jobs: list[tuple[Any, ...]] = []
        self._statements: list[Execute] = []
        self._read: dict[tuple[str, tuple[type[Event], ...]], list[RecordedEvent]] = {}

    @property
    def now(self) -> datetime:
        return self._clock()

    async def read(self, *streams: str) -> list[list[RecordedEvent]]:
        if any(append.stream in streams for append in self._appends):
            await self.commit()
        found = await read_streams(self._connection, streams)
        return [found[stream] for stream in streams]

    async def read_only(self, stream: str, *types: type[Event]) -> list[RecordedEvent]:
        """Read once for all events of the batch, and again after a commit."""
        if any(isinstance(e.data, types) for append in self._appends if append.stream == stream for e in append.events):
            await self.commit()
        if (stream, types) not in self._read:
            self._read[stream, types] = await read_types(self._connection, stream, types)
        return self._read[stream, types]

    def add(self, effects: Sequence[Effect], cause: Cause) -> None:
        """Take in what one handler returned."""
        for ordinal, effect in enumerate(effects):
            match effect:
                case Emit():
                    trace = current_traceparent()
                    made = as_append(effect, cause, by=self._service, ordinal=ordinal, now=self.now, traceparent=trace)
                    self._appends.append(made)
                case StartJob():
                    self._jobs.append(job_row(self._service, effect, cause, ordinal))
                case Execute():
                    self._statements.append(effect)

    async def commit(self) -> None:
        """Everything collected and the progress mark, in one transaction. Raises StaleReadError, nothing written."""
        appends, jobs, statements = self._appends, self._jobs, self._statements
        self._appends, self._jobs, self._statements = [], [], []
        self._read.clear()
        async with self._connection.transaction():
            for statement in statements:
                await self._connection.execute(statement.sql, *statement.arguments)
            await _append(self._connection, appends)
            if jobs:
                await start_jobs(self._connection, self._service, jobs)
            await self._progress()(self._connection)


def job_row(service: str, effect: StartJob, cause: Cause, ordinal: int = 0) -> tuple[Any, ...]:
    """A job as it is kept. Its id derives from cause and place, so that it is started once."""
    job = derived_id(cause.seed, service, effect.kind, ordinal)
    origin = {k: str(v) for k, v in asdict(cause).items() if v is not None}
    return job, service, effect.kind, json.dumps(effect.payload), effect.priority, json.dumps(origin)


async def enqueue(
    connection: Connection, service: str, jobs: Mapping[UUID, StartJob], correlation: UUID | None = None
) -> None:
    """Jobs that no event started, within the caller's transaction; each once, by the seed that it stands under."""
    rows = [
        job_row(service, job, Cause(seed, correlation or seed, current_traceparent(), seed))
        for seed, job in jobs.items()
    ]
    await start_jobs(connection, service, rows)


async def start_jobs(connection: Connection, service: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Within the caller's transaction."""
    await connection.executemany(
        """insert into work.jobs (id, service, kind, payload, priority, origin)
           values ($1, $2, $3, $4, $5, $6) on conflict do nothing""", rows,
    )  # fmt: skip
    await connection.execute("select pg_notify('jobs', $1)", service)


async def _append(connection: Connection, appends: list[Append]) -> None:
    """One append_batch call: streams merged, and what an earlier attempt already wrote left out."""
    if not appends:
        return
    known = await existing_ids(connection, [event.id for append in appends for event in append.events])
    wanted = _unwritten(appends, known)
    merged = [_merge(list(group)) for _, group in groupby(sorted(wanted, key=_stream), key=_stream)]
    if not merged:
        return
    try:
        results = await append_batch(connection, merged)
    except asyncpg.UniqueViolationError as error:
        raise StaleReadError("another process handled the same events at the same time") from error
    for append, result in zip(merged, results, strict=True):
        if isinstance(result, Conflict):
            raise StaleReadError(f"{append.stream} is at version {result.current_version}, not {append.expected}")


def _unwritten(appends: list[Append], known: set[UUID]) -> list[Append]:
    """Without events that are there already, and each event once."""
    wanted, seen = list[Append](), set(known)
    for append in appends:
        events = [event for event in append.events if event.id not in seen]
        seen |= {event.id for event in events}
        if events:
            wanted.append(Append(append.stream, events, append.expected))
    return wanted


def _stream(append: Append) -> str:
    return append.stream


def _merge(appends: list[Append]) -> Append:
    events: list[NewEvent] = [event for append in appends for event in append.events]
    return Append(appends[0].stream, events, appends[0].expected)
