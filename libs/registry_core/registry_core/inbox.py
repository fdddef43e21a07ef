"""What sources sent: each delivery kept whole with what came of it, until its time is over (`work.deliveries`).

A proven delivery is kept together with the job that handles it, before its sender hears that it is taken. Those whose
proof failed are kept, too, so that somebody sees why; but the newest few alone, for anybody can send those.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Literal
from uuid import UUID, uuid4

from registry_core.events import derived_id
from registry_core.handlers import Execute, StartJob
from registry_core.messaging.dead_letters import mentions, spellings, storable
from registry_core.messaging.unit_of_work import enqueue
from registry_core.personal import ERASED
from registry_core.store.connections import Connection, Pool

REFUSED_KEPT: Final = 50
"""Refused deliveries kept of each source."""
REFUSED_BYTES: Final = 16 * 1024
"""Of each of those bodies."""
FORGET_REFUSED: Final = """
    delete from work.deliveries where id in (
      select id from work.deliveries where source = $1 and outcome = 'refused'
       order by received_at desc, id offset $2)"""
HANDLE_DELIVERY: Final = "handle-delivery"
"""The job of every delivery but inference events."""
COUNT_INFERENCE: Final = "count-inference"
"""The job of a delivery that is one inference event; lifecycle has it."""

Outcome = Literal["waiting", "taken", "nothing", "failed", "conflict", "refused"]
OUTCOMES: Final[tuple[Outcome, ...]] = ("waiting", "taken", "nothing", "failed", "conflict", "refused")
"""waiting: its job has not run yet; nothing: understood, and there was nothing to do; conflict: its key came before,
with another body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    source: str
    kind: str
    key: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    sent_at: datetime | None = None
    outcome: Outcome = "waiting"
    reason: str = ""
    told: Sequence[str] = ()
    """What it brought about, in sentences."""
    replays: int = 0
    id: UUID = field(default_factory=uuid4)

    @property
    def service(self) -> str:
        """Whose job it is."""
        return "lifecycle" if self.kind == "kserve" else "ingestion"


async def accept(pool: Pool, delivery: Delivery) -> Delivery:
    """Keep a proven delivery and, if it waits for one, its job, in one transaction; or say what its key stands for.

    The same body again comes back as it was kept. Another body under the same key is kept as a conflict, without job.
    """
    async with pool.acquire() as connection, connection.transaction():
        if await _insert(connection, delivery):
            if delivery.outcome == "waiting":
                await _start(connection, delivery)
            return delivery
        known = await _by_key(connection, delivery.source, delivery.key)
        if known.body == delivery.body or known.reason == ERASED:
            return known
        reason = f"{delivery.key} came before, at {known.received_at.isoformat()}, with another body"
        conflict = replace(delivery, outcome="conflict", reason=reason)
        await _insert(connection, conflict)
        return conflict


async def keep_refused(pool: Pool, delivery: Delivery, reason: str) -> None:
    """Keep what proved nothing, cut, in place of the oldest such of its source."""
    cut = replace(delivery, outcome="refused", reason=reason, body=delivery.body[:REFUSED_BYTES])
    async with pool.acquire() as connection, connection.transaction():
        await _insert(connection, cut)
        await connection.execute(FORGET_REFUSED, delivery.source, REFUSED_KEPT)


async def replay_delivery(pool: Pool, delivery: Delivery) -> None:
    """Have it handled again."""
    async with pool.acquire() as connection, connection.transaction():
        replays = await connection.fetchval(
            """update work.deliveries set outcome = 'waiting', reason = '', told = '[]', replays = replays + 1
                where id = $1 returning replays""", delivery.id,
        )  # fmt: skip
        await _start(connection, replace(delivery, replays=replays))


def settled(delivery: UUID, outcome: Outcome, *, reason: str = "", told: Sequence[str] = ()) -> Execute:
    """The effect that says what came of it."""
    return Execute(
        "update work.deliveries set outcome = $2, reason = $3, told = $4 where id = $1",
        (delivery, outcome, storable(reason)[:4000], json.dumps(list(told))),
    )


async def find(pool: Pool, delivery: UUID) -> Delivery | None:
    row = await pool.fetchrow("select * from work.deliveries where id = $1", delivery)
    return _delivery(row) if row else None


async def listing(pool: Pool, source: str | None, outcome: str | None, limit: int) -> list[Delivery]:
    """The newest first, without their bodies."""
    rows = await pool.fetch(
        """select id, source, kind, key, '{}'::jsonb as headers, ''::bytea as body, sent_at, received_at, outcome,
                  reason, told, replays
             from work.deliveries where ($1::text is null or source = $1) and ($2::text is null or outcome = $2)
            order by received_at desc, id limit $3""",
        source, outcome, limit,
    )  # fmt: skip
    return [_delivery(row) for row in rows]


@dataclass(frozen=True, slots=True)
class Tally:
    """A source's deliveries in the inbox, by outcome, and when the newest proven one came."""

    counts: Mapping[str, int]
    last_at: datetime | None


async def tallies(pool: Pool, source: str | None = None) -> dict[str, Tally]:
    """By source: of all, or of one."""
    rows = await pool.fetch(
        """select source, outcome, count(*) as n, max(received_at) as last
             from work.deliveries where $1::text is null or source = $1
            group by source, outcome order by source, outcome""", source,
    )  # fmt: skip
    found: dict[str, Tally] = {}
    for row in rows:
        known = found.get(row["source"], Tally({}, None))
        proven = [] if row["outcome"] == "refused" else [row["last"]]
        last = max([*proven, *filter(None, [known.last_at])], default=None)
        found[row["source"]] = Tally({**known.counts, row["outcome"]: row["n"]}, last)
    return found


async def heard(pool: Pool, stream: str) -> dict[str, datetime]:
    """When each aspect of an external object was last spoken of."""
    return {row["aspect"]: row["at"] for row in await pool.fetch("select * from work.heard where stream = $1", stream)}


def hear(stream: str, aspects: Iterable[str], at: datetime) -> Execute:
    """The effect that remembers that these aspects were spoken of."""
    return Execute(
        """insert into work.heard (stream, aspect, at) select $1, a, $3 from unnest($2::text[]) a order by a
           on conflict (stream, aspect) do update set at = greatest(heard.at, excluded.at)""",
        (stream, list(aspects), at),
    )


async def prune(pool: Pool, before: datetime) -> None:
    """Forget what came before that and waits for nothing."""
    await pool.execute("delete from work.deliveries where received_at < $1 and outcome <> 'waiting'", before)


async def erase_mentions(connection: Connection, text: str) -> int:
    """Empty the deliveries that hold this text as a word of its own; how many those were. They stay known by key."""
    rows = await connection.fetch(
        """select id, headers::text, body from work.deliveries
            where exists (select from unnest($1::bytea[]) s
                           where position(s in body) > 0 or position(s in convert_to(headers::text, 'UTF8')) > 0)""",
        list(spellings(text)),
    )
    found = [row["id"] for row in rows if mentions(text, row["headers"], row["body"])]
    await connection.execute(
        """update work.deliveries set headers = '{}', body = '', told = '[]', reason = $2,
                  outcome = case outcome when 'waiting' then 'failed' else outcome end where id = any($1)""",
        found, ERASED,
    )  # fmt: skip
    return len(found)


async def _insert(connection: Connection, d: Delivery) -> bool:
    status = await connection.execute(
        """insert into work.deliveries
             (id, source, kind, key, headers, body, body_sha256, sent_at, received_at, outcome, reason)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
           on conflict (source, key) where outcome not in ('refused', 'conflict') do nothing""",
        d.id, d.source, d.kind, d.key, json.dumps({storable(k): storable(v) for k, v in d.headers.items()}),
        d.body, sha256(d.body).digest(), d.sent_at, d.received_at, d.outcome, storable(d.reason)[:4000],
    )  # fmt: skip
    return str(status) == "INSERT 0 1"


async def _by_key(connection: Connection, source: str, key: str) -> Delivery:
    row = await connection.fetchrow(
        """select * from work.deliveries
            where source = $1 and key = $2 and outcome not in ('refused', 'conflict')""", source, key,
    )  # fmt: skip
    return _delivery(row)


async def _start(connection: Connection, delivery: Delivery) -> None:
    """Its job; another one for each replay."""
    kind = COUNT_INFERENCE if delivery.service == "lifecycle" else HANDLE_DELIVERY
    job = StartJob(kind, {"delivery": str(delivery.id)})
    seed = derived_id(delivery.id, delivery.replays)
    await enqueue(connection, delivery.service, {seed: job}, correlation=delivery.id)


def _delivery(row: Any) -> Delivery:
    about = {name: row[name] for name in ("source", "kind", "key", "body", "received_at", "sent_at", "replays", "id")}
    told, headers = json.loads(row["told"]), json.loads(row["headers"])
    return Delivery(**about, outcome=row["outcome"], reason=row["reason"], told=told, headers=headers)
