"""Streams as they stood: both stores against the definition, for histories with any occurred and recorded times."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registry_core.events import NewEvent, Origin, RecordedEvent
from registry_core.events.governance import RolesChanged
from registry_core.handlers import fold
from registry_core.identity import Account
from registry_core.moments import NOW, Moment
from registry_core.store import Append, EventStore
from registry_core.store.connections import Pool
from registry_core.store.memory import MemoryEventStore
from registry_core.store.postgres import PostgresEventStore

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = st.integers(0, 30).map(lambda n: BEGIN + timedelta(seconds=n))
HISTORY = st.lists(st.tuples(SECOND, SECOND), min_size=1, max_size=12)
"""(occurred, recorded) of each event; recorded times go back, too, as clocks do."""
BOUND = st.none() | SECOND
EXAMPLES = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass
class Historian:
    """A store whose clock tells what the history says."""

    store: EventStore
    begin: Callable[[list[datetime]], None]
    owner: asyncpg.Connection | None = None

    async def record(self, stream: str, history: list[tuple[datetime, datetime]]) -> None:
        self.begin([recorded for _, recorded in history])
        await self.store.append(Append(stream, [_changed(n, at) for n, (at, _) in enumerate(history)], -1))
        if self.owner:
            await self._backdate(stream, [recorded for _, recorded in history])

    async def _backdate(self, stream: str, times: list[datetime]) -> None:
        """The database's clock cannot be set from here, so the owner writes what it would have stamped."""
        assert self.owner
        await self.owner.execute("set session_replication_role = replica")  # the append-only triggers hold otherwise
        for version, recorded in enumerate(times):
            await self.owner.execute(
                "update log.events set recorded_at = $3 where stream_id = $1 and version = $2",
                stream,
                version,
                recorded,
            )


def _changed(n: int, occurred_at: datetime) -> NewEvent:
    origin = Origin(actor="admin", occurred_at=occurred_at, correlation_id=uuid4())
    return NewEvent(id=uuid4(), data=RolesChanged(account="dana", roles=(f"reviewer:r{n}",)), origin=origin)


@pytest.fixture(params=["memory", "postgres"])
def historian(request: pytest.FixtureRequest) -> Historian:
    if request.param == "memory":
        times: list[datetime] = []
        return Historian(MemoryEventStore(lambda: times.pop(0)), times.extend)
    pool: Pool = request.getfixturevalue("pool")
    return Historian(PostgresEventStore(pool), lambda _: None, request.getfixturevalue("owner"))


def by_definition(whole: list[RecordedEvent], moment: Moment) -> list[RecordedEvent]:
    """docs/time.md, as simply as it can be said."""
    known_at, as_of = moment.known_at, moment.as_of
    known = [
        event
        for n, event in enumerate(whole)
        if known_at is None or any(later.recorded_at <= known_at for later in whole[n:])
    ]
    return [event for event in known if as_of is None or event.occurred_at <= as_of]


@EXAMPLES
@given(HISTORY, BOUND, BOUND)
async def test_a_past_state_is_the_fold_of_what_counts_then(
    historian: Historian, history: list[tuple[datetime, datetime]], as_of: datetime | None, known_at: datetime | None
) -> None:
    stream, moment = f"account:{uuid4()}", Moment(as_of, known_at)
    await historian.record(stream, history)
    whole = (await historian.store.read_streams([stream]))[stream]
    assert [(e.occurred_at, e.recorded_at) for e in whole] == history
    found = (await historian.store.read_streams_at([stream], moment))[stream]
    assert found == by_definition(whole, moment)
    assert fold(Account(), found) == fold(Account(), by_definition(whole, moment))


@EXAMPLES
@given(HISTORY)
async def test_known_at_the_last_record_or_later_it_is_the_present(
    historian: Historian, history: list[tuple[datetime, datetime]]
) -> None:
    stream = f"account:{uuid4()}"
    await historian.record(stream, history)
    whole = (await historian.store.read_streams([stream]))[stream]
    for known_at in (max(recorded for _, recorded in history), BEGIN + timedelta(days=1)):
        assert (await historian.store.read_streams_at([stream], Moment(known_at=known_at)))[stream] == whole
    assert (await historian.store.read_streams_at([stream], NOW))[stream] == whole


async def test_each_stream_has_its_own_past_and_an_unknown_one_has_none(historian: Historian) -> None:
    def after(seconds: int) -> datetime:
        return BEGIN + timedelta(seconds=seconds)

    await historian.record("model:m@1.0.0", [(after(1), after(2)), (after(3), after(4))])
    await historian.record("model:m@2.0.0", [(after(5), after(6))])
    asked = ["model:m@2.0.0", "model:m@1.0.0", "model:m@9.0.0"]
    found = await historian.store.read_streams_at(asked, Moment(known_at=after(2)))
    assert {stream: [e.version for e in events] for stream, events in found.items()} == {
        "model:m@2.0.0": [], "model:m@1.0.0": [0], "model:m@9.0.0": [],
    }  # fmt: skip


async def test_the_versions_of_an_asset_are_found_by_their_common_beginning(historian: Historian) -> None:
    for stream in ("model:m@2.0.0", "model:m@1.0.0", "model:m-x@1.0.0", "model:mm@1.0.0", "prompt:m@1.0.0"):
        await historian.record(stream, [(BEGIN, BEGIN)])
    assert await historian.store.streams_under("model:m@") == ["model:m@1.0.0", "model:m@2.0.0"]


async def test_a_past_state_reads_its_streams_rows_and_no_others(pool: Pool, owner: asyncpg.Connection) -> None:
    store = PostgresEventStore(pool)
    for n in range(300):
        await store.append(Append(f"account:a{n}", [_changed(k, BEGIN) for k in range(10)], -1))
    await owner.execute("analyze log.events")
    plan = await pool.fetchval(
        "explain (analyze, format json) select * from log.streams_at($1, now(), now()) order by stream_id, version",
        ["account:a7"],
    )
    assert "Seq Scan" not in plan
    assert "events_stream_id_version_key" in plan
