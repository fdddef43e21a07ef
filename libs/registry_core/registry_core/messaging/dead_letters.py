"""Records that could not be handled, kept whole with their reason until somebody replays them."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from registry_core.events import RecordedEvent
from registry_core.personal import ERASED
from registry_core.store.connections import Connection, Pool
from registry_core.store.postgres import EVENT_COLUMNS, recorded
from registry_core.telemetry import DEAD_LETTERS

UNDECODABLE = "undecodable"
"""In place of the broker run where a record could not be decoded; its content is not in the letter."""

HTTP = "http.events"
"""In place of the topic of an event that came over HTTP: its sender has been told, so it is only to be looked at."""

JOBS = "jobs."
"""And a service's name: in place of the topic in the letter of a job that failed for good; its record is the job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    consumer: str
    topic: str
    partition: int
    record: str
    """The log index; of an inbound topic `<broker run>:<offset>`; a job's id."""
    key: str | None
    value: bytes
    reason: str
    headers: dict[str, str] = field(default_factory=dict)
    id: int = 0
    state: str = "open"
    received_at: datetime | None = None


def of_event(consumer: str, partition: tuple[str, int], event: RecordedEvent, reason: str) -> DeadLetter:
    return DeadLetter(
        consumer=consumer, topic=partition[0], partition=partition[1], record=str(event.log_index), key=event.stream,
        headers={"ce_type": event.type, "ce_id": str(event.id)}, value=event.body or b"", reason=reason,
    )  # fmt: skip


_COLUMNS = "consumer, topic, partition, record, key, headers, value, reason"


async def put(connection: Connection, letter: DeadLetter) -> None:
    """Keep a letter; the same record with the same reason is kept once."""
    DEAD_LETTERS.labels(letter.consumer).inc()
    await connection.execute(
        f"insert into work.dead_letters ({_COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing",
        *_row(letter),
    )


async def put_few(pool: Pool, letters: Sequence[DeadLetter], most: int) -> None:
    """Keep letters, unless as many as `most` of the same consumer, topic and key are open."""
    for letter in letters:
        DEAD_LETTERS.labels(letter.consumer).inc()
    await pool.executemany(
        f"""insert into work.dead_letters ({_COLUMNS})
            select $1, $2, $3::integer, $4, $5, $6::jsonb, $7::bytea, $8
             where (select count(*) from work.dead_letters d
                     where (d.consumer, d.topic, d.key, d.state) = ($1::text, $2::text, $5::text, 'open')) < $9
            on conflict do nothing""",
        [(*_row(letter), most) for letter in letters],
    )


def _row(letter: DeadLetter) -> tuple[Any, ...]:
    return (
        letter.consumer, letter.topic, letter.partition, letter.record, letter.key and storable(letter.key),
        json.dumps({storable(name): storable(value) for name, value in letter.headers.items()}),
        letter.value, storable(letter.reason)[:4000],
    )  # fmt: skip


def storable(text: str) -> str:
    """PostgreSQL's text holds neither NUL nor lone surrogates; whoever wrote the record may have."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


async def listing(pool: Pool, state: str | None, limit: int) -> list[DeadLetter]:
    rows = await pool.fetch(
        "select * from work.dead_letters where $1::text is null or state = $1 order by id desc limit $2", state, limit
    )
    return [_letter(row) for row in rows]


async def find(pool: Pool, letter: int) -> DeadLetter | None:
    row = await pool.fetchrow("select * from work.dead_letters where id = $1", letter)
    return _letter(row) if row else None


def _letter(row: Any) -> DeadLetter:
    return DeadLetter(**{**dict(row), "headers": json.loads(row["headers"])})


async def put_job(connection: Connection, letter: DeadLetter) -> None:
    """Keep the letter of a failed job; after a replay in vain its own letter is open again."""
    replayed = await connection.fetchval(
        "select id from work.dead_letters where topic = $1 and record = $2 and state = 'replaying'",
        letter.topic, letter.record,
    )  # fmt: skip
    if replayed is None:
        await put(connection, letter)
    else:
        DEAD_LETTERS.labels(letter.consumer).inc()
        await reopen(connection, replayed, letter.reason)


async def mark_job_replayed(connection: Connection, job: UUID) -> None:
    """The job is done: so is its letter, if it has one."""
    await connection.execute(
        """update work.dead_letters set state = 'replayed'
            where record = $1 and topic like 'jobs.%' and state = 'replaying'""",
        str(job),
    )


async def request_replay(pool: Pool, letter: int) -> bool:
    """Ask the letter's own consumer to handle it again; a job waits anew, with all its attempts.

    False when it is not open, its content is unknown, or its sender has been told.
    """
    status = await pool.execute(
        """with letter as (update work.dead_letters set state = 'replaying'
            where id = $1 and state = 'open' and (topic not like 'registry.%' or record ~ '^[0-9]+$')
              and record not like $2 || ':%' and topic <> $3 returning topic, record),
           job as (update work.jobs j set state = 'waiting', attempts = 0, failures = 0, run_at = now()
             from letter where letter.topic like 'jobs.%' and j.id::text = letter.record and j.state = 'failed')
           select topic from letter""",
        letter, UNDECODABLE, HTTP,
    )  # fmt: skip
    return str(status) == "SELECT 1"


async def replaying(connection: Connection, consumer: str) -> list[tuple[int, RecordedEvent]]:
    """Letters of the registry's own topics that wait to be handled again, with their events."""
    rows = await connection.fetch(
        f"""select d.id as letter, s.log_index, {EVENT_COLUMNS}
              from work.dead_letters d join log.sealed s
                on s.log_index = case when d.record ~ '^[0-9]+$' then d.record::bigint end
              join log.events e using (position)
             where d.consumer = $1 and d.state = 'replaying' and d.topic like 'registry.%' order by d.id""",
        consumer,
    )
    return [(row["letter"], recorded(row)) for row in rows]


async def replaying_inbound(connection: Connection, consumer: str) -> list[DeadLetter]:
    """Letters of inbound topics that wait to be handled again."""
    rows = await connection.fetch(
        """select * from work.dead_letters where consumer = $1 and state = 'replaying'
              and topic not like 'registry.%' and topic not like 'jobs.%' order by id""",
        consumer,
    )
    return [_letter(row) for row in rows]


async def mark_replayed(connection: Connection, letter: int) -> None:
    await connection.execute("update work.dead_letters set state = 'replayed' where id = $1", letter)


async def reopen(connection: Connection, letter: int, reason: str) -> None:
    """It failed again: open, with the newest reason."""
    await connection.execute(
        """update work.dead_letters d set state = 'open', reason = case when exists (
             select 1 from work.dead_letters o where o.id <> d.id and o.reason = $2
                and (o.consumer, o.topic, o.partition, o.record) = (d.consumer, d.topic, d.partition, d.record))
             then d.reason else $2 end where id = $1""",
        letter, storable(reason)[:4000],
    )  # fmt: skip


async def erase_mentions(connection: Connection, topic: str, text: str) -> int:
    """Empty the letters of an inbound topic that hold this text as a word of its own; how many those were."""
    rows = await connection.fetch("select id, key, headers::text, value from work.dead_letters where topic = $1", topic)
    found = [row["id"] for row in rows if mentions(text, row["key"] or "", row["headers"], row["value"])]
    await connection.execute(
        "update work.dead_letters set key = null, headers = '{}', value = $2 where id = any($1)", found, ERASED.encode()
    )
    return len(found)


def spellings(text: str) -> set[bytes]:
    """How a text stands in bytes: in UTF-8, or as JSON escapes it."""
    return {text.encode("utf-8", "surrogatepass"), json.dumps(text)[1:-1].encode()}


def mentions(text: str, *places: str | bytes) -> bool:
    """Whether any of the places holds the text as a word of its own: `ann` is not mentioned in `joanna`."""
    word = re.compile(rb"(?<![\w-])(?:" + b"|".join(map(re.escape, spellings(text))) + rb")(?![\w-])")
    return any(
        word.search(place.encode("utf-8", "surrogatepass") if isinstance(place, str) else place) for place in places
    )
