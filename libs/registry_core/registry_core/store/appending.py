"""Appending through the SQL function `log.append_batch`, on a connection of the caller's."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any
from uuid import UUID

import asyncpg

from registry_core.events import NewEvent
from registry_core.store.connections import Connection, Pool
from registry_core.store.model import MAX_BODY, Append, Appended, Conflict, DuplicateEventError, EventTooLargeError

Result = Appended | Conflict
Outcome = Result | DuplicateEventError
Retry = Appended | DuplicateEventError | None
"""What was written before; that the ids are another's; that they are nobody's."""
_APPEND = "select * from log.append_batch($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13)"
_TAKEN = "select event_id, stream_id, version, body_sha256 from log.events where event_id = any($1)"


def _encode(event: NewEvent) -> bytes:
    body = event.data.encode()
    if len(body) > MAX_BODY:
        raise EventTooLargeError(event.data.type, len(body))
    return body


def _sha256(event: NewEvent) -> bytes:
    return hashlib.sha256(event.data.encode()).digest()


def batch_arguments(appends: Sequence[Append]) -> tuple[list[Any] | None, ...]:
    """The thirteen arrays of `log.append_batch`."""
    events = [(a, k, event) for a, append in enumerate(appends, 1) for k, event in enumerate(append.events)]
    return (
        [append.stream for append in appends],
        [append.expected for append in appends],
        [len(append.events) for append in appends],
        [a for a, _, _ in events],
        [k for _, k, _ in events],
        [event.id for _, _, event in events],
        [event.data.type for _, _, event in events],
        [_encode(event) for _, _, event in events],
        [event.origin.actor for _, _, event in events],
        [event.origin.occurred_at for _, _, event in events],
        [event.origin.correlation_id for _, _, event in events],
        _or_none([event.origin.causation_id for _, _, event in events]),
        _or_none([event.origin.traceparent for _, _, event in events]),
    )


def _or_none(values: list[Any]) -> list[Any] | None:
    """No array for a column that is null throughout: the server's `unnest` makes the nulls."""
    return values if any(value is not None for value in values) else None


async def append_batch(connection: Connection, appends: Sequence[Append]) -> list[Result]:
    """One call, one transaction of the caller's. Raises UniqueViolationError or DuplicateEventError for a taken id."""
    return [_or_raise(outcome) for outcome in await append_each(connection, appends)]


async def append_each(connection: Connection, appends: Sequence[Append]) -> list[Outcome]:
    """The same; one that names another event's id, and would not have been written anyway, fails alone.

    Raises UniqueViolationError, and nothing is written, when one that is at its expected version does.
    """
    rows = await connection.fetch(_APPEND, *batch_arguments(appends))
    results: list[Outcome] = [Conflict(-1)] * len(appends)
    for row in rows:
        results[row["append"] - 1] = (
            Appended(row["first_version"], row["current_version"]) if row["ok"] else Conflict(row["current_version"])
        )
    refused = [n for n, result in enumerate(results) if isinstance(result, Conflict)]
    for n, retry in zip(refused, await as_retries(connection, [appends[n] for n in refused]), strict=True):
        results[n] = retry or results[n]
    return results


async def existing_ids(connection: Connection, ids: Iterable[UUID]) -> set[UUID]:
    """Which of these events are in the store."""
    rows = await connection.fetch("select event_id from log.events where event_id = any($1)", list(ids))
    return {row["event_id"] for row in rows}


async def append_once(connection: Connection, append: Append) -> Result:
    """Append to one stream; a retry of the very same events is recognised by their ids."""
    try:
        async with connection.transaction():
            return (await append_batch(connection, [append]))[0]
    except asyncpg.UniqueViolationError:
        if (retry := (await as_retries(connection, [append]))[0]) is None:
            raise
        return _or_raise(retry)


async def as_retries(
    connection: Connection | Pool, appends: Sequence[Append]
) -> list[Appended | DuplicateEventError | None]:
    """For each the earlier result, if these very events are in the store; an error if others have their ids.

    One query for all. A retry's expected version is outdated by itself.
    """
    if not appends:
        return []
    rows = await connection.fetch(_TAKEN, [event.id for append in appends for event in append.events])
    taken = {row["event_id"]: row for row in rows}
    return [_as_retry(append, taken) for append in appends]


def _as_retry(append: Append, taken: Mapping[UUID, Any]) -> Retry:
    rows = [taken[event.id] for event in append.events if event.id in taken]
    if not rows:
        return None
    found = [(row["event_id"], row["stream_id"], row["body_sha256"]) for row in sorted(rows, key=itemgetter("version"))]
    if found != [(event.id, append.stream, _sha256(event)) for event in append.events]:
        ids = ", ".join(str(row["event_id"]) for row in rows)
        return DuplicateEventError(f"event id {ids} is taken by another event; use a new id for new content")
    return Appended(rows[0]["version"], rows[-1]["version"], duplicate=True)


def _or_raise(outcome: Outcome) -> Result:
    if isinstance(outcome, DuplicateEventError):
        raise outcome
    return outcome
