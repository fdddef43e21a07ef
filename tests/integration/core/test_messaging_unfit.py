"""Records that a client may send and nobody expects: each becomes a letter, and its neighbours are taken in."""

from collections.abc import Sequence
from typing import cast
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from hallmark_ledger import bootstrap as ledger
from registry_core.events import RecordedEvent
from registry_core.events.versions import VersionAdded
from registry_core.handlers import Effect, Reader
from registry_core.messaging import dead_letters
from registry_core.messaging.dead_letters import DeadLetter
from registry_core.messaging.transport import InboundRecord, Rejection
from registry_core.service import Platform, Service
from registry_core.settings import Settings
from support import running, until
from support_kafka import send_batch

pytestmark = pytest.mark.messaging


class Inbox:
    """A service that takes in records; `broken` says how often it fails before."""

    def __init__(self, broken: int = 0) -> None:
        self.name = f"inbox{uuid4().hex[:8]}"  # a consumer group of its own: other tests write to the topic, too
        self.mark = uuid4().bytes
        self.taken: list[InboundRecord] = []
        self.broken = broken

    def build(self, _: Platform) -> Service:
        return Service(name=self.name, inbound={"mlops.events": self.take_in})

    async def take_in(self, records: Sequence[InboundRecord]) -> Sequence[Rejection]:
        if self.broken and any(record.value == self.mark + b"2" for record in records):
            self.broken -= 1
            return [cast(Rejection, None)]
        self.taken += [record for record in records if record.value.startswith(self.mark)]
        return []

    async def has(self, *values: bytes) -> bool:
        return {self.mark + value for value in values} <= {record.value for record in self.taken}

    async def letters(self, platform: Platform, count: int) -> list[DeadLetter]:
        """Oldest first, once there are so many."""
        found = await dead_letters.listing(platform.pool, "open", 1000)
        return found[::-1] if len(found) >= count else []


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


async def test_a_header_without_a_value_is_an_empty_one(settings: Settings, inbox: Inbox) -> None:
    """Kafka allows null; the rest of the batch depends on it."""
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, linger_ms=200) as producer:
        sent = [
            await producer.send("mlops.events", inbox.mark + value, partition=0, headers=[("ce_x", header)])
            for value, header in ((b"before", b"x"), (b"null", None), (b"no text", b"\xff"), (b"after", b"x"))
        ]
        for one in sent:
            await one
    async with running(settings, [inbox.build]):
        assert await until(lambda: inbox.has(b"before", b"null", b"no text", b"after"))
    headers = {record.value: record.headers for record in inbox.taken}
    assert headers[inbox.mark + b"null"] == {"ce_x": ""}


async def test_a_foreign_record_with_a_null_header_is_kept(settings: Settings) -> None:
    async with running(settings, [ledger.build, follows_versions]) as (platform, _):
        async with AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap) as producer:
            await producer.send_and_wait("registry.versions", b"foreign", partition=0, headers=[("ce_logindex", None)])
        (letter,) = await until(lambda: _letters_with(platform, b"foreign"))
        assert letter.reason.startswith("not written by the relay")


async def test_a_record_that_cannot_be_decoded_is_passed_over_alone(settings: Settings, inbox: Inbox) -> None:
    """Also when it lies among good ones that were fetched with it, and when another comes right after it."""
    await send_batch(settings.kafka_bootstrap, "mlops.events", [inbox.mark + b"1", inbox.mark + b"2"])
    first = await send_batch(settings.kafka_bootstrap, "mlops.events", [b"bad"], unreadable=[0])
    second = await send_batch(settings.kafka_bootstrap, "mlops.events", [b"bad"], unreadable=[0])
    await send_batch(settings.kafka_bootstrap, "mlops.events", [inbox.mark + b"3"])
    async with running(settings, [inbox.build]) as (platform, _):
        assert await until(lambda: inbox.has(b"1", b"2", b"3"))
        letters = (await inbox.letters(platform, 2))[-2:]
        assert [letter.record for letter in letters] == [f"undecodable:{first}", f"undecodable:{second}"]
        assert {(letter.consumer, letter.topic, letter.partition) for letter in letters} == {
            (inbox.name, "mlops.events", 0)
        }
        assert all(letter.reason.startswith("undecodable record") for letter in letters)
        assert not await dead_letters.request_replay(platform.pool, letters[0].id)  # there is nothing to replay
        third = await send_batch(settings.kafka_bootstrap, "mlops.events", [b"bad"], unreadable=[0])
        await send_batch(settings.kafka_bootstrap, "mlops.events", [inbox.mark + b"4"])
        assert await until(lambda: inbox.has(b"4"))
        assert f"undecodable:{third}" in {letter.record for letter in await inbox.letters(platform, 3)}


async def test_a_batch_whose_handling_fails_unforeseen_is_never_lost(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither the record itself nor its neighbours; and the log tells of it."""
    inbox = Inbox(broken=2)  # the batch, and then the record alone
    await send_batch(settings.kafka_bootstrap, "mlops.events", [inbox.mark + n for n in (b"1", b"2", b"3")])
    async with running(settings, [inbox.build]) as (platform, _):
        assert await until(lambda: inbox.has(b"1", b"2", b"3"))
        assert inbox.broken == 0
        assert inbox.taken[-1].value.endswith(b"3")
        assert not await _letters_with(platform, inbox.mark + b"2")
    told = capfd.readouterr()
    assert "a record waits" in told.out + told.err


async def _letters_with(platform: Platform, value: bytes) -> list[DeadLetter]:
    return [letter for letter in await dead_letters.listing(platform.pool, "open", 1000) if letter.value == value]


def follows_versions(_: Platform) -> Service:
    async def nothing(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
        return []

    return Service(name="follower", handlers={VersionAdded: nothing})
