"""What a source is, folded from its own stream, and in whose name it speaks."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from registry_core.events import Event, RecordedEvent
from registry_core.events.sources import SourceConnected, SourceDisconnected, SourceSecretChanged
from registry_core.handlers import Reader, fold, load
from registry_core.identity import find_account
from registry_core.problems import conflict, forbidden
from registry_core.store.connections import Pool
from registry_core.store.postgres import read_streams

ACTION: Final = "register"
"""What an account has to be allowed for anything to come in in its name."""


def source_stream(name: str) -> str:
    return f"source:{name}"


def external_stream(source: str, thing: str) -> str:
    """Of one thing there: a registered model, a repository."""
    return f"external:{source}:{thing}"


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
    """Since when without a break; another account or address is none."""
    secret_changed_at: datetime | None = None

    def evolve(self, event: RecordedEvent) -> "Source":
        return replace(self._after(event.data, event.occurred_at), version=event.version)

    def _after(self, data: Event, at: datetime) -> "Source":
        match data:
            case SourceConnected():
                about = {name: getattr(data, name) for name in ("source", "kind", "account", "url")}
                since = self.connected_at if self.connected else at
                return replace(self, **about, connected=True, connected_at=since)
            case SourceSecretChanged():
                return replace(self, secret_changed_at=at)
            case SourceDisconnected():
                return replace(self, connected=False)
            case _:
                return self


async def find_source(reader: Reader, name: str) -> Source:
    return await load(reader, Source(), source_stream(name))


async def all_sources(pool: Pool) -> list[Source]:
    """Every source there ever was, by name."""
    rows = await pool.fetch(
        "select stream_id from log.streams where stream_id >= 'source:' and stream_id < 'source;' order by stream_id"
    )
    streams = [row["stream_id"] for row in rows]
    found = await read_streams(pool, streams) if streams else {}
    return [fold(Source(), found[stream]) for stream in streams]


async def speaking(reader: Reader, name: str) -> Source:
    """The source, if it is connected and the account that it speaks for may do ACTION now. Raises Problem."""
    source = await find_source(reader, name)
    if not source.connected:
        raise conflict(f"the source {name} is disconnected", "connect it again: `hallmark source connect`")
    await check_may_feed(reader, source.account)
    return source


async def check_may_feed(reader: Reader, account: str) -> None:
    """Raises Problem 403 where the account may do ACTION nowhere. Of the asset itself it is asked again, once named."""
    if not (await find_account(reader, account)).reach(ACTION):
        raise forbidden(
            f"{account}, in whose name this comes, may not {ACTION}",
            f"`hallmark account roles {account} --role contributor`, then replay the delivery or import again",
        )
