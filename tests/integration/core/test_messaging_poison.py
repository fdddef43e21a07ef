"""Poison shows in a handler, or only when its effects are written: either way it is set aside alone."""

from collections.abc import Sequence
from typing import Any, cast

import asyncpg
import pytest
from aiokafka import ConsumerRecord, TopicPartition
from hallmark_ledger import bootstrap as ledger
from registry_core.events import RecordedEvent
from registry_core.events.versions import DependantAdded, VersionAdded
from registry_core.handlers import Effect, Emit, Execute, Reader, StartJob
from registry_core.messaging import dead_letters
from registry_core.messaging.jobs import MAX_FAILURES
from registry_core.messaging.transport import InboundRecord, Rejection, Transport
from registry_core.notifier import JOBS
from registry_core.service import Platform, Service
from registry_core.settings import Settings
from registry_core.store import ANY, Append
from registry_core.store.model import MAX_BODY
from support import new, running, until

STREAM = "asset:model:m"


def added(n: int) -> VersionAdded:
    return VersionAdded(ref=f"model:m@1.0.{n}", digest="sha256:" + f"{n:064x}")


async def echo(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
    """Answers each event; to some with effects that the store refuses."""
    assert isinstance(event.data, VersionAdded)
    ref = event.data.ref
    await reader.read(f"echo:{event.stream}")  # writes what was collected before
    answer = Emit(f"echo:{event.stream}", [DependantAdded(dependant=ref, depends_on=ref)])
    if ref.endswith(".66"):
        return [answer, Emit("echo:large", [DependantAdded.model_construct(dependant="x" * MAX_BODY, depends_on=ref)])]
    if ref.endswith(".67"):
        return [answer, Execute("insert into work.no_such_table values ($1)", [ref])]
    return [answer]


async def test_effects_that_cannot_be_written_set_their_own_event_aside(settings: Settings) -> None:
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    numbers = [1, 66, 2, 67, 3]
    async with running(alone, [ledger.build, lambda _: Service(name="echo", handlers={VersionAdded: echo})]) as made:
        platform, _ = made
        for n in numbers:
            await platform.store.append(Append(STREAM, [new(added(n))], ANY))
        await until(lambda: _answered(platform, 3))
        letters = await until(lambda: _letters(platform, 2))
        assert [b"1.0.66" in letters[1].value, b"1.0.67" in letters[0].value] == [True, True]
        assert letters[1].reason.startswith("EventTooLargeError")
        assert letters[0].reason.startswith("UndefinedTableError")
        assert await _echoes(platform) == [f"model:m@1.0.{n}" for n in (1, 2, 3)]


async def _echoes(platform: Platform) -> list[str]:
    events = (await platform.store.read_streams([f"echo:{STREAM}"]))[f"echo:{STREAM}"]
    return [event.data.dependant for event in events if isinstance(event.data, DependantAdded)]


async def _answered(platform: Platform, count: int) -> bool:
    return len(await _echoes(platform)) >= count


async def _letters(platform: Platform, count: int) -> list[dead_letters.DeadLetter]:
    found = await dead_letters.listing(platform.pool, "open", 10)
    return found if len(found) >= count else []


async def test_an_inbound_record_that_its_handler_cannot_stand_is_set_aside_alone(settings: Settings) -> None:
    """Also when what it holds is more than PostgreSQL's text can."""
    taken: list[bytes] = []

    async def take_in(records: Sequence[InboundRecord]) -> Sequence[Rejection]:
        if any(record.value == b"poison" for record in records):
            raise ValueError("half a character: \ud800, and NUL: \x00")
        taken.extend(record.value for record in records)
        return []

    async with running(settings.model_copy(update={"kafka_bootstrap": ""}), []) as (platform, _):
        transport = Transport("echo", settings, platform.pool, None, {"mlops.events": take_in})
        await transport._accept("mlops.events", [_inbound(n, v) for n, v in enumerate([b"a", b"poison", b"b"])])
        assert taken == [b"a", b"b"]
        (letter,) = await _letters(platform, 1)
        assert letter.value == b"poison"
        assert letter.key == "k\\x00"
        assert letter.reason == "ValueError: half a character: \\ud800, and NUL: \\x00"


async def test_what_no_inbound_record_can_be_made_of_is_set_aside_alone(settings: Settings) -> None:
    taken: list[bytes] = []

    async def take_in(records: Sequence[InboundRecord]) -> Sequence[Rejection]:
        taken.extend(record.value for record in records)
        return []

    def raw(offset: int, value: bytes, header: object) -> ConsumerRecord[bytes, bytes]:
        headers = cast(Any, [("h", header)])
        return ConsumerRecord("mlops.events", 0, offset, 1, 0, None, value, None, -1, len(value), headers)

    async with running(settings.model_copy(update={"kafka_bootstrap": ""}), []) as (platform, _):
        transport = Transport("echo", settings, platform.pool, None, {"mlops.events": take_in})
        records = [raw(0, b"a", b""), raw(1, b"unfit", 7), raw(2, b"b", None)]
        await transport._on_inbound_records(TopicPartition("mlops.events", 0), records)
        assert taken == [b"a", b"b"]
        (letter,) = await _letters(platform, 1)
        assert (letter.value, letter.record) == (b"unfit", "1:1")
        assert letter.reason.startswith("unfit record: AttributeError")


def _inbound(offset: int, value: bytes) -> InboundRecord:
    return InboundRecord("mlops.events", 0, f"1:{offset}", "k\x00", {"h": "\x00"}, value)


@pytest.mark.parametrize("attempts", [4, 5000])
async def test_a_job_that_misses_a_dependency_waits_however_often(settings: Settings, attempts: int) -> None:
    """A lost database connection says nothing against the job; nor do kills, which count as attempts, too."""

    async def start(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
        return [StartJob("work")]

    async def work(payload: object, reader: Reader) -> Sequence[Effect]:
        raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    def build(_: Platform) -> Service:
        return Service(name="echo", handlers={VersionAdded: start}, jobs={"work": work})

    async with running(settings.model_copy(update={"kafka_bootstrap": ""}), [ledger.build, build]) as (platform, _):
        await platform.store.append(Append(STREAM, [new(added(1))], ANY))
        await until(lambda: platform.pool.fetchval("select last_error from work.jobs"))
        await platform.pool.execute("update work.jobs set attempts = $1, run_at = now(), last_error = null", attempts)
        await until(lambda: platform.pool.fetchval("select last_error from work.jobs"))
        assert await platform.pool.fetchval("select state from work.jobs") == "waiting"


class Flaky:
    """A service with one job, which raises these errors one after the other and then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def build(self, _: Platform) -> Service:
        return Service(name="echo", handlers={VersionAdded: self.start}, jobs={"work": self.work})

    async def start(self, event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
        return [StartJob("work", {"ref": event.stream})]

    async def work(self, payload: object, reader: Reader) -> Sequence[Effect]:
        if self.errors:
            raise self.errors.pop(0)
        return []


async def test_a_job_that_failed_for_good_is_a_letter_and_is_replayed(settings: Settings) -> None:
    """It is open again when the replay fails, and replayed once the job is done; it is one letter all the time."""
    flaky = Flaky(*[ValueError(f"poison \x00 {n}") for n in range(2 * MAX_FAILURES)])
    async with running(settings.model_copy(update={"kafka_bootstrap": ""}), [ledger.build, flaky.build]) as made:
        platform, _ = made
        await platform.store.append(Append(STREAM, [new(added(1))], ANY))
        for last in (MAX_FAILURES - 1, 2 * MAX_FAILURES - 1):
            (letter,) = await until(lambda: _hurried(platform))
            assert (letter.consumer, letter.topic, letter.key) == ("echo", "jobs.echo", STREAM)
            assert (letter.value, letter.headers) == (b'{"ref": "asset:model:m"}', {"kind": "work"})
            assert f" {last}" in letter.reason
            assert letter.record == str(await platform.pool.fetchval("select id from work.jobs where state = 'failed'"))
            assert await dead_letters.request_replay(platform.pool, letter.id)
        await until(lambda: platform.pool.fetchval("select true from work.jobs where state = 'done'"))
        (kept,) = await dead_letters.listing(platform.pool, None, 10)
        assert (kept.id, kept.state) == (letter.id, "replayed")


async def _hurried(platform: Platform) -> list[dead_letters.DeadLetter]:
    """The open letters; pauses between attempts are cut short."""
    await platform.pool.execute("update work.jobs set run_at = now() where state = 'waiting'")
    platform.notifier.wake(JOBS)
    return await dead_letters.listing(platform.pool, "open", 10)


async def test_a_missing_dependency_does_not_use_up_a_jobs_attempts(settings: Settings) -> None:
    """Also when the job fails by its own fault in between."""
    away = [ConnectionError("the artifact store does not answer") for _ in range(2 * MAX_FAILURES)]
    flaky = Flaky(*away, *[ValueError("once") for _ in range(MAX_FAILURES - 1)])
    async with running(settings.model_copy(update={"kafka_bootstrap": ""}), [ledger.build, flaky.build]) as made:
        platform, _ = made
        await platform.store.append(Append(STREAM, [new(added(1))], ANY))

        async def done() -> bool:
            assert not await _hurried(platform)
            return bool(await platform.pool.fetchval("select true from work.jobs where state = 'done'"))

        assert await until(done)
        attempts, failures = await platform.pool.fetchrow("select attempts, failures from work.jobs")
        assert (attempts, failures) == (3 * MAX_FAILURES, MAX_FAILURES - 1)
