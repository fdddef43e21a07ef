"""Group commit: who shares a call, when a second connection helps, and that each stream keeps its order."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registry_core.store import ANY, NONE, Append, Appended
from registry_core.store.appending import append_once
from registry_core.store.group_commit import CROWD, LANES, Lane
from registry_core.store.memory import MemoryEventStore
from registry_core.store.model import DuplicateEventError
from registry_core.store.postgres import Pool, PostgresEventStore
from support import until
from support_log import append


class Flushes:
    """How many appends each flush took, and how many flushes ran at once at most."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes, self.at_once, self._running = list[int](), 0, 0
        flush = Lane.flush

        async def counted(lane: Lane, turns: Any) -> None:
            self.sizes.append(sum(len(turn) for turn in turns))
            self._running += 1
            self.at_once = max(self.at_once, self._running)
            await flush(lane, turns)
            self._running -= 1

        monkeypatch.setattr(Lane, "flush", counted)


@pytest.fixture
def flushes(monkeypatch: pytest.MonkeyPatch) -> Flushes:
    return Flushes(monkeypatch)


async def test_a_few_writers_share_one_connection(pool: Pool, flushes: Flushes) -> None:
    store = PostgresEventStore(pool)

    async def write(writer: int) -> None:
        for _ in range(10):
            await store.append(append(f"s{writer}"))

    await asyncio.gather(*(write(writer) for writer in range(32)))
    assert flushes.at_once == 1
    assert sum(flushes.sizes) == 320
    assert len(flushes.sizes) < 40


async def test_a_crowd_gets_a_second_one_and_no_more(pool: Pool, flushes: Flushes) -> None:
    store = PostgresEventStore(pool)

    async def write(writer: int) -> None:
        assert [await store.append(append(f"s{writer}")) for _ in range(5)] == [[Appended(n, n)] for n in range(5)]

    await asyncio.gather(*(write(writer) for writer in range(3 * CROWD)))
    assert flushes.at_once == LANES


async def test_a_streams_appends_come_in_the_order_in_which_they_were_handed_in(pool: Pool, flushes: Flushes) -> None:
    """Nobody waits for an answer before the next; turn by turn the appends are for one half of the streams."""
    store, turns = PostgresEventStore(pool), 12
    writing = dict[tuple[int, int], asyncio.Task[Any]]()
    for turn in range(turns):
        for stream in range(turn % 2, CROWD, 2):
            writing[turn, stream] = asyncio.create_task(store.append(append(f"s{stream}", 4)))
        await asyncio.sleep(0)
    await asyncio.gather(*writing.values())
    for (turn, _), task in writing.items():
        first = 4 * (turn // 2)
        assert task.result() == [Appended(first, first + 3)]
    assert flushes.at_once == LANES


async def test_after_the_last_flush_both_connections_are_given_back(pool: Pool) -> None:
    store = PostgresEventStore(pool)
    await asyncio.gather(*(store.append(append(f"s{n}", 10)) for n in range(CROWD)))

    async def all_idle() -> bool:
        return pool.get_idle_size() == pool.get_size()

    assert await until(all_idle)


async def test_appends_that_take_any_version_of_a_stream_go_to_it_together(pool: Pool, flushes: Flushes) -> None:
    """One after the other each would wait for the answer to the one before."""
    store = PostgresEventStore(pool)
    results = await asyncio.gather(*(store.append(append("hot", 2)) for _ in range(50)))
    assert results == [[Appended(2 * n, 2 * n + 1)] for n in range(50)]
    assert len(flushes.sizes) <= 2


async def test_one_that_names_another_events_id_fails_none_that_it_went_with(pool: Pool) -> None:
    store = PostgresEventStore(pool)
    first, other = append("hot"), append("hot", 2)
    again = Append("hot", first.events)
    twisted = Append("hot", [replace(other.events[1], id=first.events[0].id)])
    results = await asyncio.gather(
        *(store.append(each) for each in (first, again, twisted, append("hot"))), return_exceptions=True
    )
    assert results[0] == [Appended(0, 0)]
    assert results[1] == [Appended(0, 0, duplicate=True)]
    assert isinstance(results[2], DuplicateEventError)
    assert results[3] == [Appended(1, 1)]


async def test_one_whose_stream_moved_on_and_whose_id_is_anothers_fails_none_that_it_went_with(pool: Pool) -> None:
    store, taken = PostgresEventStore(pool), append("s")
    await store.append(taken)
    twisted = Append("s", [replace(append("s", 2).events[1], id=taken.events[0].id)], NONE)
    outcomes = await asyncio.gather(
        *(store.append(each) for each in (append("a"), twisted, append("b"))), return_exceptions=True
    )
    assert [outcomes[0], outcomes[2]] == [[Appended(0, 0)], [Appended(0, 0)]]
    assert isinstance(outcomes[1], DuplicateEventError)


async def test_ids_that_are_taken_are_found_in_one_look_and_the_rest_goes_together(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call a record would let one that names another event's id slow down a whole flood of others."""
    store, taken = PostgresEventStore(pool), append("s")
    await store.append(taken)

    async def singly(*_: Any) -> Any:
        raise AssertionError("sent by itself")

    monkeypatch.setattr("registry_core.store.group_commit.append_once", singly)
    twisted = [Append(f"t{n}", [replace(append("t", 2).events[1], id=taken.events[0].id)]) for n in range(3)]
    outcomes = await store.append_each(append("a"), *twisted, Append("s", taken.events), append("b"))
    assert [type(outcome) for outcome in outcomes[1:4]] == [DuplicateEventError] * 3
    assert [outcomes[0], *outcomes[4:]] == [Appended(0, 0), Appended(0, 0, duplicate=True), Appended(0, 0)]


async def test_a_caller_that_gives_up_fails_none_that_it_went_with(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives up while each append of the call is sent by itself, since two have one id."""
    store, first, reached, go_on = PostgresEventStore(pool), append("s"), asyncio.Event(), asyncio.Event()
    twisted = Append("t", [replace(append("t", 2).events[1], id=first.events[0].id)])

    async def held_up(connection: Any, one: Append) -> Any:
        if one.stream == "victim":
            reached.set()
            await go_on.wait()
        return await append_once(connection, one)

    monkeypatch.setattr("registry_core.store.group_commit.append_once", held_up)
    asked = [first, twisted, append("victim"), append("neighbour")]
    tasks = [asyncio.create_task(store.append(each)) for each in asked]
    await reached.wait()
    tasks[2].cancel()
    await asyncio.sleep(0)
    go_on.set()
    _, refused, given_up, written = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(refused, DuplicateEventError)
    assert isinstance(given_up, asyncio.CancelledError)
    assert written == [Appended(0, 0)]


async def test_one_of_several_for_a_stream_that_gives_up_fails_none_of_the_others(pool: Pool) -> None:
    store = PostgresEventStore(pool)
    tasks = [asyncio.create_task(store.append(append("hot"))) for _ in range(5)]
    await asyncio.sleep(0)
    tasks[2].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [r for n, r in enumerate(results) if n != 2] == [[Appended(n, n)] for n in (0, 1, 3, 4)]


STEPS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from([ANY, ANY, -1, 0, 1, 3]), st.integers(1, 3), st.booleans()),
    max_size=12,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
async def test_handed_in_at_once_appends_have_the_outcome_that_they_have_one_by_one(pool: Pool, steps: Any) -> None:
    run = uuid4().hex
    asked = [Append(f"{run}{name}", append(name, count).events, expected) for name, expected, count, _ in steps]
    for place, (*_, is_retry) in enumerate(steps):
        if is_retry and place:
            asked[place] = asked[place - 1]
    store, one_by_one = PostgresEventStore(pool), MemoryEventStore()
    expected = [await one_by_one.append(each) for each in asked]
    assert await asyncio.gather(*(store.append(each) for each in asked)) == expected
