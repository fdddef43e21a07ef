"""Append functions that take a lock, count, notify or store jsonb, each beside ours."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

import asyncpg
from registry_core.events import NewEvent, Origin
from registry_core.events.governance import RolesChanged
from registry_core.local.postgres import LocalPostgres, postgres
from registry_core.local.stack import SERVICE_ROLE
from registry_core.store import ANY, Append, schema
from registry_core.store.appending import append_batch

CONNECTIONS: Final = 16
SECONDS: Final = 1.5
_SCRIPT: Final = "020_append_batch.sql"


@dataclass(frozen=True, slots=True)
class Variant:
    """Replacements in append_batch, what has to be there before it, and how it is called."""

    name: str
    replace: Mapping[str, str]
    before: str = ""
    events: int = 1
    """Of one call; 1: from many connections at once."""


_BEGIN: Final = "begin return query"
VARIANTS: Final = (
    Variant("advisory lock around each append", {_BEGIN: f"begin perform pg_advisory_xact_lock(1); {_BEGIN[6:]}"}),
    Variant(
        "one head row",
        {_BEGIN: f"begin update head set n = n + 1; {_BEGIN[6:]}"},
        before="create table log.head (n bigint) with (fillfactor = 10); insert into log.head values (0)",
    ),
    Variant("NOTIFY per append", {_BEGIN: f"begin perform pg_notify('appended', ''); {_BEGIN[6:]}"}),
    Variant(
        "stored jsonb, 200 events a call",
        {"causation_id, traceparent)\n": "causation_id, traceparent, document)\n",
         "x.ca, x.tr\n": "x.ca, x.tr, convert_from(x.b, 'utf8')::jsonb\n"},
        before="alter table log.events add column document jsonb",
        events=200,
    ),
)  # fmt: skip


async def try_rates(rounds: int) -> list[dict[str, str]]:
    """A row for each variant: events a second of ours and of it, and the median of the rounds' ratios."""
    with tempfile.TemporaryDirectory(prefix="hallmark-rejected-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)  # as root, PostgreSQL's account passes through
        async with postgres(Path(folder) / "postgres") as server:  # durable: a commit costs what it costs
            return [await _compare(server, variant, rounds) for variant in VARIANTS]


async def _compare(server: LocalPostgres, variant: Variant, rounds: int) -> dict[str, str]:
    ours = await _database(server, schema.scripts(), "")
    theirs = await _database(server, _changed(variant), variant.before)
    pairs = [(await _rate(ours, variant.events), await _rate(theirs, variant.events)) for _ in range(rounds)]
    ratio = statistics.median(other / own for own, other in pairs)
    own, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    return {"variant": variant.name, "ours": f"{own:,.0f}/s", "variant's": f"{other:,.0f}/s", "ratio": f"{ratio:.2f}"}


def _changed(variant: Variant) -> dict[str, str]:
    scripts = schema.scripts()
    for snippet, instead in variant.replace.items():
        if scripts[_SCRIPT].count(snippet) != 1:
            raise LookupError(f"{_SCRIPT} has no single {snippet!r} any more; say here how the variant is made now")
        scripts[_SCRIPT] = scripts[_SCRIPT].replace(snippet, instead)
    return scripts


async def _database(server: LocalPostgres, scripts: Mapping[str, str], more: str) -> str:
    name = f"b{uuid4().hex[:12]}"
    await server.database(name)
    owner = server.dsn_of(name, role="postgres")
    await schema.install(owner, scripts)
    connection = await asyncpg.connect(owner)
    try:
        await connection.execute(more or "select 1")
    finally:
        await connection.close()
    return server.dsn_of(name, role=SERVICE_ROLE)


async def _rate(dsn: str, events: int) -> float:
    """Events a second of one round: of many connections together, or of one while it waits for the server."""
    connections = CONNECTIONS if events == 1 else 1
    async with asyncpg.create_pool(dsn, min_size=connections, max_size=connections) as pool:
        end = time.monotonic() + SECONDS
        done = await asyncio.gather(*(_append(pool, events, end) for _ in range(connections)))
    return sum(written / spent for written, spent in done)


async def _append(pool: "asyncpg.Pool[asyncpg.Record]", events: int, end: float) -> tuple[int, float]:
    """Events written, and the seconds that the calls took."""
    written, spent = 0, 0.0
    async with pool.acquire() as connection:
        while (now := time.monotonic()) < end:
            appends = [Append(f"s{uuid4()}", [_event() for _ in range(events)], ANY)]
            began = now if events == 1 else time.monotonic()
            await append_batch(connection, appends)
            written, spent = written + events, spent + time.monotonic() - began
    return written, spent


def _event() -> NewEvent:
    data = RolesChanged(account="bench", roles=tuple(f"reviewer:role-{n}" for n in range(20)))
    return NewEvent(
        id=uuid4(), data=data, origin=Origin(actor="bench", occurred_at=datetime.now(UTC), correlation_id=uuid4())
    )
