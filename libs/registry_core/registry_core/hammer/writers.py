"""Writers that do everything that writers may do, and some things twice."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Final
from uuid import UUID

import asyncpg

from registry_core.events import Event, NewEvent, Origin
from registry_core.events.governance import RolesChanged
from registry_core.events.versions import VersionAdded
from registry_core.hammer.book import ROLLED_BACK, Book
from registry_core.store import ANY, NONE, Append, Appended, Conflict, DuplicateEventError
from registry_core.store.appending import append_batch
from registry_core.store.connections import TRANSIENT, Connection, Pool
from registry_core.store.postgres import PostgresEventStore

STREAMS: Final = 2000
_DIGEST: Final = "sha256:" + "0" * 64
_OTHER_WRITE: Final = "insert into work.hammer (note) values ('another write of the same transaction')"


@dataclass(slots=True)
class Place:
    """What the writers of one run share."""

    store: PostgresEventStore
    pool: Pool
    """For transactions of their own, beside the store's."""
    book: Book
    counts: Counter[str] = field(default_factory=Counter)


class _UndoError(Exception):
    """Rolls a transaction back."""


class Writer:
    """`run` writes until told to stop; each action ends with an answer for every event."""

    def __init__(self, place: Place, random: Random) -> None:
        self._place, self._random = place, random
        self._last: tuple[Append, Appended] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            action = self._random.choices(list(ACTIONS), list(ACTIONS.values()))[0]
            try:
                await action(self)
            except (DuplicateEventError, asyncpg.PostgresError) as error:
                self._place.book.findings.add("append failed", repr(error))
            self._place.counts[action.__name__.replace("_", " ")] += 1

    async def append(self) -> None:
        """To one stream, whatever its version."""
        await self._send(self._append(self._stream()))

    async def append_expecting(self) -> None:
        """As somebody who decided on what was told; others may have been faster."""
        stream = self._stream()
        await self._send(self._append(stream, self._place.book.told.get(stream, NONE)))

    async def append_to_many(self) -> None:
        """Several streams at once, each with its own result."""
        await self._send(*(self._append(stream) for stream in self._streams(5)))

    async def send_again(self) -> None:
        """A retry by somebody who never got the answer: recognised, at the same place."""
        if self._last is None:
            return
        append, told = self._last
        (result,) = await self._answer(append)
        if result != Appended(told.first_version, told.last_version, duplicate=True):
            self._place.book.findings.add("retry not recognised", f"{append.stream}: {result}, told was {told}")

    async def transact(self) -> None:
        """Another write first, so that the transaction's id is older than its appends."""
        await self._transact([self._append(stream) for stream in self._streams(3)])

    async def transact_twice(self) -> None:
        """Two append calls, which may deadlock; the victim sends again."""
        await self._transact([self._append(stream) for stream in self._streams(2)], one_call=False)

    async def roll_back(self) -> None:
        appends = [self._append(stream, actor=ROLLED_BACK) for stream in self._streams(3)]
        try:
            async with self._place.pool.acquire() as connection, connection.transaction():
                await self._write(connection, appends)
                raise _UndoError  # noqa: TRY301 - how asyncpg is told to roll back
        except (_UndoError, *TRANSIENT):
            pass

    async def _transact(self, appends: Sequence[Append], *, one_call: bool = True) -> None:
        try:
            async with self._place.pool.acquire() as connection, connection.transaction():
                results = await self._write(connection, appends, one_call=one_call)
        except TRANSIENT:  # committed or not: nobody knows
            await self._send(*appends)
        else:
            self._note(appends, results)

    async def _write(
        self, connection: Connection, appends: Sequence[Append], *, one_call: bool = True
    ) -> list[Appended | Conflict]:
        await connection.execute(_OTHER_WRITE)
        if one_call:
            results = await append_batch(connection, appends)
        else:
            results = [result for append in appends for result in await append_batch(connection, [append])]
        if self._random.random() < 0.2:
            await asyncio.sleep(self._random.uniform(0, 0.02))  # work between append and commit
        return results

    async def _send(self, *appends: Append) -> None:
        self._note(appends, await self._answer(*appends))

    async def _answer(self, *appends: Append) -> list[Appended | Conflict]:
        """Sends the same ids until there is an answer."""
        while True:
            try:
                return await self._place.store.append(*appends)
            except TRANSIENT:
                self._place.counts["sent again after an error"] += 1
                await asyncio.sleep(0.1)

    def _note(self, appends: Sequence[Append], results: Sequence[Appended | Conflict]) -> None:
        for append, result in zip(appends, results, strict=True):
            if isinstance(result, Conflict):
                self._place.counts["conflicts"] += 1
                self._place.book.told[append.stream] = result.current_version
                self._place.book.refuse(append)
            else:
                self._place.counts["events"] += len(append.events)
                self._place.book.acknowledge(append, result)
                self._last = append, result

    def _stream(self) -> str:
        return f"hammer:{int(STREAMS * self._random.random() ** 2)}"  # some are much busier than others

    def _streams(self, most: int) -> list[str]:
        return sorted(
            {self._stream() for _ in range(self._random.randint(1, most))}, key=lambda _: self._random.random()
        )

    def _append(self, stream: str, expected: int | None = ANY, actor: str = "hammer") -> Append:
        return Append(stream, [self._event(actor) for _ in range(self._random.choice((1, 1, 1, 2, 5)))], expected)

    def _event(self, actor: str) -> NewEvent:
        number = self._random.randrange(1_000_000)
        data: Event = VersionAdded(ref=f"model:hammer@1.0.{number}", digest=_DIGEST)
        if number % 4 == 0:  # of another topic
            data = RolesChanged(account=f"a{number}", roles=("viewer",))
        correlation, event = (UUID(int=self._random.getrandbits(128), version=4) for _ in range(2))
        return NewEvent(id=event, data=data, origin=Origin(
            actor=actor, occurred_at=datetime.now(UTC), correlation_id=correlation))  # fmt: skip


ACTIONS: Final[dict[Callable[[Writer], Awaitable[None]], int]] = {
    Writer.append: 40,
    Writer.append_expecting: 20,
    Writer.append_to_many: 10,
    Writer.send_again: 1,  # each makes the store send a whole queue singly
    Writer.transact: 4,
    Writer.transact_twice: 1,
    Writer.roll_back: 3,
}
"""How often each is done, relative to the others."""


async def hold_transactions_open(pool: Pool, random: Random, stop: asyncio.Event) -> None:
    """Long write transactions that have nothing to do with the log: they may stall nothing."""
    while not stop.is_set():
        try:
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute(_OTHER_WRITE)
                await asyncio.sleep(random.uniform(0.1, 1.5))
                if random.random() < 0.3:
                    raise _UndoError  # noqa: TRY301 - as above
        except (_UndoError, *TRANSIENT):
            await asyncio.sleep(0.05)
