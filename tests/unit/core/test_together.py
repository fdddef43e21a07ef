"""Many questions as few: each answered once asked, by a query that began after it."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from registry_core.together import Together


class Database:
    """Answers with how often it was asked; holds back until it is told."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.begun, self.free = asyncio.Event(), asyncio.Event()
        self.error: Exception | None = None

    async def ask(self, keys: Sequence[str]) -> Mapping[str, int]:
        self.asked.append(list(keys))
        number = len(self.asked)
        self.begun.set()
        await self.free.wait()
        if self.error:
            raise self.error
        return dict.fromkeys(keys, number)


async def test_what_is_asked_while_a_query_runs_goes_in_the_next_one_together() -> None:
    database = Database()
    together = Together(database.ask)
    first = asyncio.create_task(together("a"))
    await database.begun.wait()
    later = [asyncio.create_task(together(key)) for key in ("a", "b", "b")]
    await asyncio.sleep(0)
    database.free.set()
    assert await first == 1
    assert await asyncio.gather(*later) == [2, 2, 2]
    assert database.asked == [["a"], ["a", "b"]]


async def test_a_failure_reaches_everybody_who_asked_and_nobody_after() -> None:
    database = Database()
    database.free.set()
    together, database.error = Together(database.ask), ConnectionError("gone")
    outcomes = await asyncio.gather(together("a"), together("b"), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["gone", "gone"]
    database.error = None
    assert await together("a") == 2


async def test_one_who_gives_up_takes_no_answer_from_others() -> None:
    database = Database()
    together = Together(database.ask)
    impatient, patient = (asyncio.create_task(together("a")) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    database.free.set()
    assert await patient == 1
