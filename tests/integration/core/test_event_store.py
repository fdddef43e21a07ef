"""One suite of promises, kept by the store in PostgreSQL and by its twin in memory."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from registry_core.events import NewEvent, Origin
from registry_core.events.versions import VersionAdded
from registry_core.store import ANY, NONE, Append, Appended, Conflict, DuplicateEventError, EventStore
from registry_core.store.connections import Pool
from registry_core.store.memory import MemoryEventStore
from registry_core.store.model import MAX_BODY, EventTooLargeError
from registry_core.store.postgres import PostgresEventStore
from registry_core.store.sealer import Sealer

Seal = Callable[[], Awaitable[None]]


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> EventStore:
    if request.param == "memory":
        return MemoryEventStore()
    pool: Pool = request.getfixturevalue("pool")
    return PostgresEventStore(pool)


@pytest.fixture
def seal(request: pytest.FixtureRequest, store: EventStore) -> Seal:
    sealer = Sealer(request.getfixturevalue("ledger_pool"), 4) if isinstance(store, PostgresEventStore) else None

    async def seal_everything() -> None:
        while sealer and await sealer.seal_once():
            pass

    return seal_everything


def event(n: int = 0, event_id: UUID | None = None) -> NewEvent:
    origin = Origin(actor="alice", occurred_at=datetime(2026, 1, 2, 3, 4, 5, 6, UTC), correlation_id=uuid4())
    data = VersionAdded(ref=f"model:m@1.0.{n}", digest="sha256:" + f"{n:064x}")
    return NewEvent(id=event_id or uuid4(), data=data, origin=origin)


def events(count: int) -> Sequence[NewEvent]:
    return [event(n) for n in range(count)]


async def test_a_stream_starts_at_version_zero_and_grows_without_gaps(store: EventStore) -> None:
    assert await store.append(Append("s", events(2), NONE)) == [Appended(0, 1)]
    assert await store.append(Append("s", events(3), 1)) == [Appended(2, 4)]
    read = (await store.read_streams(["s"]))["s"]
    assert [e.version for e in read] == [0, 1, 2, 3, 4]


async def test_an_outdated_expectation_is_a_conflict_that_writes_nothing(store: EventStore) -> None:
    await store.append(Append("s", events(2), NONE))
    assert await store.append(Append("s", events(1), 0)) == [Conflict(1)]
    assert await store.append(Append("s", events(1), NONE)) == [Conflict(1)]
    assert await store.append(Append("t", events(1), 0)) == [Conflict(-1)]
    assert len((await store.read_streams(["s"]))["s"]) == 2


async def test_a_conflict_does_not_fail_its_neighbours(store: EventStore) -> None:
    await store.append(Append("b", events(1), NONE))
    results = await store.append(
        Append("a", events(1), NONE), Append("b", events(1), NONE), Append("c", events(2), ANY)
    )
    assert results == [Appended(0, 0), Conflict(0), Appended(0, 1)]


async def test_a_retry_is_recognised_by_its_event_ids(store: EventStore) -> None:
    first = [event(1), event(2)]
    await store.append(Append("s", first, NONE))
    await store.append(Append("s", events(1), 1))
    assert await store.append(Append("s", first, NONE)) == [Appended(0, 1, duplicate=True)]
    assert await store.append(Append("s", first, ANY)) == [Appended(0, 1, duplicate=True)]


async def test_the_same_id_with_other_content_is_refused(store: EventStore) -> None:
    taken = event(1)
    await store.append(Append("s", [taken], NONE))
    with pytest.raises(DuplicateEventError, match=str(taken.id)):
        await store.append(Append("s", [event(2, taken.id)], ANY))
    with pytest.raises(DuplicateEventError):
        await store.append(Append("elsewhere", [taken], ANY))


async def test_a_duplicate_does_not_fail_what_was_appended_beside_it(store: EventStore) -> None:
    taken = event(1)
    await store.append(Append("s", [taken], NONE))
    results = await asyncio.gather(
        store.append(Append("t", events(1), NONE)),
        store.append(Append("x", [event(2, taken.id)], ANY)),
        store.append(Append("u", events(1), NONE)),
        return_exceptions=True,
    )
    assert [type(r) for r in results] == [list, DuplicateEventError, list]


async def test_many_writers_on_one_stream_lose_nothing(store: EventStore) -> None:
    await asyncio.gather(*(store.append(Append("s", [event(n)], ANY)) for n in range(200)))
    read = (await store.read_streams(["s"]))["s"]
    assert [e.version for e in read] == list(range(200))


async def test_of_rival_writers_with_one_expectation_one_wins(store: EventStore) -> None:
    await store.append(Append("s", events(1), NONE))
    results = await asyncio.gather(*(store.append(Append("s", [event(n)], 0)) for n in range(20)))
    assert sum(isinstance(r, Appended) for (r,) in results) == 1


async def test_what_is_read_is_what_was_written(store: EventStore) -> None:
    written = event(7)
    await store.append(Append("s", [written], NONE))
    (read,) = (await store.read_streams(["s"]))["s"]
    assert (read.id, read.data, read.actor) == (written.id, written.data, "alice")
    assert read.occurred_at == written.origin.occurred_at
    assert read.correlation_id == written.origin.correlation_id


async def test_a_body_above_the_limit_is_refused_and_says_what_to_do(store: EventStore) -> None:
    from registry_core.events.governance import PolicyActivated

    huge = PolicyActivated(
        name="p", version="1.0.0", digest="sha256:" + "0" * 64, document="x" * MAX_BODY, activated_by="alice"
    )
    with pytest.raises(EventTooLargeError, match="store the large part as evidence"):
        await store.append(Append("p", [NewEvent(id=uuid4(), data=huge, origin=event().origin)], NONE))


async def test_the_sealed_log_is_dense_and_keeps_each_streams_order(store: EventStore, seal: Seal) -> None:
    await asyncio.gather(*(store.append(Append(f"s{n % 7}", [event(n)], ANY)) for n in range(100)))
    await seal()
    log = await store.read_log(0, 1000)
    assert [e.log_index for e in log] == list(range(100))
    for stream in {e.stream for e in log}:
        versions = [e.version for e in log if e.stream == stream]
        assert versions == list(range(len(versions)))


async def test_the_log_is_read_in_parts(store: EventStore, seal: Seal) -> None:
    await store.append(Append("s", events(10), NONE))
    await seal()
    assert [e.log_index for e in await store.read_log(4, 3)] == [4, 5, 6]
    assert await store.read_log(10, 5) == []


async def test_waiting_for_the_seal_gives_the_log_index(store: EventStore, seal: Seal) -> None:
    written = event()
    await store.append(Append("s", [written], NONE))
    await seal()
    assert await store.wait_sealed(written.id) == 0
    assert await store.wait_sealed(uuid4(), timeout=0.01) is None
