"""What a handler sees of what its batch brought about."""

from uuid import uuid4

from registry_core.events.versions import DependantAdded, VersionAdded
from registry_core.handlers import Cause, Emit
from registry_core.messaging.unit_of_work import UnitOfWork
from registry_core.store.connections import Connection, Pool
from support import NOW

STREAM, PROMPT = "asset:prompt:p", "prompt:p@1.0.0"
ADDED = VersionAdded(ref=PROMPT, digest="sha256:" + "0" * 64)


def dependant(number: int) -> DependantAdded:
    return DependantAdded(dependant=f"model:m@1.0.{number}", depends_on=PROMPT)


async def nothing(_: Connection) -> None:
    """There is no watermark here."""


def emit(work: UnitOfWork, data: VersionAdded | DependantAdded) -> None:
    work.add([Emit(STREAM, [data])], Cause(uuid4(), uuid4(), None, uuid4()))


async def test_types_read_alone_hold_what_the_batch_brought_about(pool: Pool) -> None:
    async with pool.acquire() as connection:
        work = UnitOfWork(connection, "ingestion", lambda: NOW, lambda: nothing)
        assert await work.read_only(STREAM, DependantAdded) == []
        for number in range(2):
            emit(work, dependant(number))
            emit(work, ADDED)
            found = await work.read_only(STREAM, DependantAdded)
            assert [event.data for event in found] == [dependant(n) for n in range(number + 1)]
        assert len(await work.read_only(STREAM, DependantAdded, VersionAdded)) == 4


async def test_events_of_other_types_are_not_committed_for_a_read(pool: Pool) -> None:
    async with pool.acquire() as connection:
        work = UnitOfWork(connection, "ingestion", lambda: NOW, lambda: nothing)
        emit(work, ADDED)
        assert await work.read_only(STREAM, DependantAdded) == []
        assert await pool.fetchval("select count(*) from log.events where stream_id = $1", STREAM) == 0
        await work.commit()
        assert [event.data for event in await work.read_only(STREAM, VersionAdded)] == [ADDED]
