"""While services are replaced one after another: what only a later release can read is waited for, not passed over."""

from collections.abc import Sequence
from typing import Any

import pytest
from registry_core.clock import system_clock
from registry_core.events import Event, RecordedEvent, base, upcasts
from registry_core.events.versions import DependantAdded, VersionAdded
from registry_core.handlers import Effect, Emit, Reader
from registry_core.messaging.consumer import Consumer
from registry_core.store import ANY, Append
from registry_core.store.connections import Pool
from registry_core.store.postgres import PostgresEventStore
from registry_core.store.sealer import Sealer
from support import new

STREAM = "asset:model:m"


def declare_next() -> type[Event]:
    """The later release's version of the type."""

    class Added(Event, type="io.hallmark.asset.version-added.v2", family="versions"):
        ref: str
        digest: str
        by: str

    @upcasts(VersionAdded, to=Added)
    def _(old: VersionAdded) -> Added:
        return Added(ref=old.ref, digest=old.digest, by="nobody knows")

    return Added


async def echo(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
    data: Any = event.data
    return [Emit("echoes", [DependantAdded(dependant=data.ref, depends_on=data.ref)])]


async def echoed(pool: Pool) -> list[str]:
    rows = await pool.fetch("select body from log.events where stream_id = 'echoes' order by version")
    return [DependantAdded.model_validate_json(row["body"]).dependant for row in rows]


async def advance(consumer: Consumer, ledger_pool: Pool) -> None:
    while await Sealer(ledger_pool, 1).seal_once():
        pass
    for partition in await consumer.behind():
        await consumer.advance(partition)


async def test_a_consumer_waits_before_what_it_cannot_read_and_an_upgraded_one_goes_on(
    pool: Pool, ledger_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = (dict(base._REGISTRY), dict(base._UPCASTERS))
    with monkeypatch.context() as release:
        for name, value in zip(("_REGISTRY", "_UPCASTERS"), later, strict=True):
            release.setattr(base, name, value)
        added = declare_next()
    digest = "sha256:" + "0" * 64
    events: list[Any] = [
        VersionAdded(ref="model:m@1.0.0", digest=digest),
        added(ref="model:m@2.0.0", digest=digest, by="ci"),
        VersionAdded(ref="model:m@3.0.0", digest=digest),
    ]
    await PostgresEventStore(pool).append(*[Append(STREAM, [new(data)], ANY) for data in events])

    older = Consumer("echo", {VersionAdded: echo}, pool, system_clock)
    for _ in range(2):
        await advance(older, ledger_pool)
        assert await echoed(pool) == ["model:m@1.0.0"]
    assert await pool.fetchval("select count(*) from work.dead_letters") == 0

    for name, value in zip(("_REGISTRY", "_UPCASTERS"), later, strict=True):
        monkeypatch.setattr(base, name, value)
    await advance(Consumer("echo", {added: echo}, pool, system_clock), ledger_pool)
    assert await echoed(pool) == ["model:m@1.0.0", "model:m@2.0.0", "model:m@3.0.0"]
