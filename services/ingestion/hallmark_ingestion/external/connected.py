"""Which sources are connected, in whose name they speak, and work that is to be done for them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from registry_core.events import RecordedEvent
from registry_core.events.sources import SourceConnected, SourceDisconnected
from registry_core.handlers import Reader, fold, load
from registry_core.identity import Account, account_stream
from registry_core.problems import forbidden
from registry_core.service import Platform
from registry_core.store.connections import Pool
from registry_core.store.postgres import read_streams


@dataclass(frozen=True, slots=True)
class Source:
    """State of one `source:<name>` stream."""

    version: int = -1
    source: str = ""
    kind: str = ""
    account: str = ""
    url: str = ""
    connected: bool = False
    connected_at: datetime | None = None

    def evolve(self, event: RecordedEvent) -> "Source":
        match event.data:
            case SourceConnected() as data:
                about = {name: getattr(data, name) for name in ("source", "kind", "account", "url")}
                connected_at = self.connected_at or event.occurred_at
                return replace(self, version=event.version, **about, connected=True, connected_at=connected_at)
            case SourceDisconnected():
                return replace(self, version=event.version, connected=False)
            case _:
                return replace(self, version=event.version)


def source_stream(name: str) -> str:
    return f"source:{name}"


async def find_source(reader: Reader, name: str) -> Source:
    return await load(reader, Source(), source_stream(name))


async def all_sources(pool: Pool) -> list[Source]:
    """Every source there ever was, by name."""
    rows = await pool.fetch(
        "select stream_id from log.streams where stream_id >= 'source:' and stream_id < 'source;' order by stream_id"
    )
    found = await read_streams(pool, [row["stream_id"] for row in rows])
    return [fold(Source(), events) for events in found.values()]


async def check_allowed(reader: Reader, account: str, action: str) -> None:
    """Raises Problem 403 where the account may not do this now."""
    if not (await load(reader, Account(), account_stream(account))).may(action):
        raise forbidden(
            f"{account}, in whose name this comes, may not {action}",
            f"give it a role that may: `hallmark account roles {account} --role contributor`",
        )


async def enqueue(platform: Platform, job: UUID, kind: str, payload: Mapping[str, Any], priority: int = 0) -> None:
    """A job of ingestion, started once under its id."""
    origin = json.dumps({"id": str(job), "correlation_id": str(job)})
    async with platform.pool.acquire() as connection, connection.transaction():
        await connection.execute(
            """insert into work.jobs (id, service, kind, payload, priority, origin)
               values ($1, 'ingestion', $2, $3, $4, $5) on conflict do nothing""",
            job, kind, json.dumps(payload), priority, origin,
        )  # fmt: skip
        await connection.execute("select pg_notify('jobs', 'ingestion')")
