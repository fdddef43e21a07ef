"""Every view rebuilt: whatever happened, in whatever order, the new table says what the live one says."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from conftest import Database
from hallmark_console.projections import PROJECTIONS, VERSION_OVERVIEW
from hallmark_lifecycle.projections import DUE, SERVED
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registry_core.events.evidence import VulnerabilityResolved
from registry_core.events.governance import CustomerCount, ServedWindowRecorded
from registry_core.events.lifecycle import (
    ApprovalExpired,
    ApprovalVoided,
    OwnerWarned,
    RemediationClockStopped,
    VersionReinstated,
    VersionReturnedToDraft,
)
from registry_core.events.versions import MetadataAmended
from registry_core.projections import Builder, Projection, Projector, commands, reading
from registry_core.projections import live as live_tables
from registry_core.settings import Settings
from registry_core.store import ANY, Append
from registry_core.store.postgres import PostgresEventStore
from registry_core.values import Metadata, UseContext
from support import NOW, new, until
from support_console import append, console
from support_portfolio import CREDIT, portfolio, registered
from support_projections import Log, Watcher, a_log

ALL = (*PROJECTIONS, DUE, SERVED)
REFS = ("model:fraud-detector@3.2.0", "model:credit-risk@1.1.0")
ENDINGS = [
    (ref, event)
    for ref in REFS
    for event in (
        VulnerabilityResolved(ref=ref, advisory="CVE-2026-30117", component="pkg:pypi/onnx@1.15.0", reason="updated"),
        RemediationClockStopped(ref=ref, finding="CVE-2026-30117", cause="resolved"),
        ApprovalExpired(ref=ref, promotion="p-1", context=CREDIT, expired_at=NOW),
        ApprovalVoided(ref=ref, promotion="p-2", cause="evidence changed"),
        OwnerWarned(ref=ref, subject="approval p-1", owner="ines", acts_at=NOW),
        VersionReinstated(ref=ref, cause="mended"),
        VersionReturnedToDraft(ref=ref, cause="rejected"),
        MetadataAmended(ref=ref, metadata=Metadata(owner="wei", retire_on=NOW + timedelta(days=9))),
    )
]
WINDOW = ServedWindowRecorded(
    deployment="scoring", environment="production", start=NOW, end=NOW + timedelta(minutes=1), ref=REFS[0],
    context=UseContext(business_function="lending"), approved=True, requests=3,
    customers=(CustomerCount(customer="c1", requests=3, first_at=NOW, last_at=NOW),),
)  # fmt: skip
HAPPENINGS = [(stream, event) for stream, event, *_ in portfolio(NOW)] + ENDINGS + [("serving:scoring", WINDOW)]
"""Of every kind, hostile ones among them; drawn in any order, so that effects come before their causes, too."""


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    projection=st.sampled_from(ALL),
    happenings=st.lists(st.sampled_from(HAPPENINGS), min_size=1, max_size=60),
    batch=st.integers(1, 9),
    window=st.integers(3, 40),
)
def test_for_any_history_the_rebuilt_table_is_the_live_one(
    database: Database, projection: Projection, happenings: list[Any], batch: int, window: int
) -> None:
    asyncio.run(_rebuilt_is_live(database, projection, happenings, batch, window))


async def _rebuilt_is_live(
    database: Database, projection: Projection, happenings: list[Any], batch: int, window: int
) -> None:
    async with (
        asyncpg.create_pool(database.service_dsn, min_size=1, max_size=3) as pool,
        a_log(pool, database.owner_dsn, database.service_dsn) as log,
    ):
        await log.install(projection)
        await PostgresEventStore(pool).append(*(Append(stream, [new(event)], ANY) for stream, event in happenings))
        await log.seal()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(live_tables, "CHUNK", batch)
            await _take_in(log, projection)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reading, "WINDOW", window)
            await _rebuild_and_compare(log, projection)


async def _take_in(log: Log, projection: Projection) -> None:
    live = Projector([projection], log.pool, log.notifier)
    while await live.follow():
        pass


async def _rebuild_and_compare(log: Log, projection: Projection) -> None:
    built = Builder(projection, log.pool)
    table = (await commands.rebuild(log.pool, projection.name, switch=False)).table
    while await built.build():
        pass
    made = (await log.tables(projection.name))[table]
    assert (made.state, made.lag) == ("ready", 0)
    live = f"projection.{projection.table}"
    differing = await log.pool.fetch(
        f"""(table {live} except table projection.{table}) union all (table projection.{table} except table {live})"""
    )
    assert differing == []
    await commands.drop(log.pool, projection.name, table)


@contextlib.asynccontextmanager
async def _log_of(running: Any) -> AsyncIterator[Log]:
    platform = running.platform
    yield Log(platform.pool, platform.settings.postgres_owner_dsn.get_secret_value(), platform.notifier)


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda p: p.name)
async def test_types_that_a_projection_does_not_name_would_change_nothing(seeded: Any, projection: Projection) -> None:
    log = await seeded.console.platform.store.read_log(0, 10_000)
    wanted = [event for event in log if projection.types is None or event.type in projection.types]
    assert projection.fold({}, wanted) == projection.fold({}, log)


async def test_a_subscription_goes_on_over_a_rebuild_and_a_switch_and_brings_nothing_twice(seeded: Any) -> None:
    from integration.console.test_console_live import amend, following, subscribed

    async with _log_of(seeded.console) as log, subscribed(seeded) as stream:
        await anext(stream)
        first = await amend(seeded, "ines")
        assert [message.id for message in await following(stream, 1)] == [first]
        rebuilt = await commands.rebuild(log.pool, VERSION_OVERVIEW.name, switch=True)
        await log.shows(rebuilt.table, VERSION_OVERVIEW.name)
        second = await amend(seeded, "jonas")
        assert [message.id for message in await following(stream, 1)] == [second]


async def test_reads_over_http_and_sql_go_on_while_every_view_is_rebuilt(console_settings: Settings) -> None:
    async with console(console_settings) as running, _log_of(running) as log:
        last = 0
        for number in range(30):
            ref = f"model:steady-{number}@1.0.0"
            last = await append(running.platform, ref, registered(ref))
        dsn = log.owner_dsn.replace("postgres@", "hallmark_reader@", 1)
        watchers = [
            Watcher(dsn, f"select key, log_index, log_index from views.{projection.name}") for projection in PROJECTIONS
        ]
        for projection in PROJECTIONS:
            rebuilt = await commands.rebuild(log.pool, projection.name, switch=True)
            last = await append(running.platform, ref, MetadataAmended(ref=ref, metadata=Metadata(owner="ines")))
            await log.shows(rebuilt.table, projection.name)
        await until(lambda: _seen(watchers))
        for watcher in watchers:
            await watcher.stop()
        assert not any(watcher.failed + watcher.backwards for watcher in watchers)
        assert (await log.view(VERSION_OVERVIEW.name))[ref]["log_index"] == last


async def _seen(watchers: list[Watcher]) -> bool:
    return all(watcher.reads > 20 for watcher in watchers)
