"""Group commit: who shares a call, when a second connection helps, and that each stream keeps its order."""

import asyncio
from typing import Any

import pytest
from registry_core.store import Appended
from registry_core.store.group_commit import CROWD, LANES, Lane
from registry_core.store.postgres import Pool, PostgresEventStore
from support import until
from support_log import append


class Flushes:
    """How many appends each flush took, and how many flushes ran at once at most."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes, self.at_once, self._running = list[int](), 0, 0
        flush = Lane.flush

        async def counted(lane: Lane, batch: Any) -> None:
            self.sizes.append(len(batch))
            self._running += 1
            self.at_once = max(self.at_once, self._running)
            await flush(lane, batch)
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
