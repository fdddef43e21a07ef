"""From an append through seal, relay, Kafka and consumer to effects, with everything in between going wrong."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from hallmark_ledger import bootstrap as ledger
from registry_core.events import RecordedEvent
from registry_core.events.versions import DependantAdded, VersionAdded
from registry_core.handlers import Effect, Emit, Reader
from registry_core.local.broker import LocalBroker
from registry_core.messaging import dead_letters
from registry_core.service import Platform, Service
from registry_core.settings import Settings
from registry_core.store import ANY, Append
from support import new, running, until

pytestmark = pytest.mark.messaging


def added(n: int) -> VersionAdded:
    return VersionAdded(ref=f"model:m@1.0.{n}", digest="sha256:" + f"{n:064x}")


async def echo(event: RecordedEvent, reader: Reader) -> Sequence[Effect]:
    """Answers each VersionAdded with one event on one stream of its own."""
    assert isinstance(event.data, VersionAdded)
    if event.data.ref.endswith(".666"):
        raise ValueError("this one cannot be handled")
    return [Emit(f"echo:{event.stream}", [DependantAdded(dependant=event.data.ref, depends_on=event.data.ref)])]


def echo_service(platform: Platform) -> Service:
    return Service(name="echo", handlers={VersionAdded: echo})


async def append(platform: Platform, numbers: Sequence[int], streams: int = 10) -> None:
    for n in numbers:
        await platform.store.append(Append(f"asset:model:m{n % streams}", [new(added(n))], ANY))


async def echoes(platform: Platform) -> list[str]:
    rows = await platform.pool.fetch("select body from log.events where stream_id like 'echo:%' order by position")
    return [DependantAdded.model_validate_json(row["body"]).dependant for row in rows]


def expected(numbers: Sequence[int]) -> set[str]:
    return {f"model:m@1.0.{n}" for n in numbers}


async def test_every_event_has_its_effect_once(settings: Settings) -> None:
    async with running(settings, [ledger.build, echo_service]) as (platform, _):
        await append(platform, range(100))
        await until(lambda: _count(platform, 100))
        assert set(await echoes(platform)) == expected(range(100))
        assert len(await echoes(platform)) == 100


async def _count(platform: Platform, wanted: int) -> bool:
    return len(await echoes(platform)) >= wanted


async def test_without_a_broker_the_log_alone_serves(settings: Settings) -> None:
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with running(alone, [ledger.build, echo_service]) as (platform, _):
        await append(platform, range(20))
        assert await until(lambda: _count(platform, 20))


async def test_a_lowered_watermark_repeats_nothing(settings: Settings) -> None:
    async with running(settings, [ledger.build, echo_service]) as (platform, _):
        await append(platform, range(30))
        await until(lambda: _count(platform, 30))
        await platform.pool.execute("update work.watermarks set log_index = -1 where consumer = 'echo'")
        await append(platform, range(30, 40))
        await until(lambda: _count(platform, 40))
        await until(lambda: _caught_up(platform))
        assert len(await echoes(platform)) == 40


async def _caught_up(platform: Platform) -> bool:
    behind = await platform.pool.fetchval(
        """select count(*) from log.partition_heads h left join work.watermarks w
             on (w.consumer, w.topic, w.partition) = ('echo', h.topic, h.partition)
            where h.topic = 'registry.versions' and h.log_index > coalesce(w.log_index, -1)"""
    )
    return bool(behind == 0)


async def test_a_poison_event_is_set_aside_and_the_rest_goes_on(settings: Settings) -> None:
    async with running(settings, [ledger.build, echo_service]) as (platform, _):
        await append(platform, [1, 666, 2, 3], streams=1)
        await until(lambda: _count(platform, 3))
        (letter,) = await dead_letters.listing(platform.pool, "open", 10)
        assert (letter.consumer, letter.topic) == ("echo", "registry.versions")
        assert letter.reason == "ValueError: this one cannot be handled"
        assert b"1.0.666" in letter.value


async def test_a_replayed_dead_letter_that_fails_again_is_open_again(settings: Settings) -> None:
    async with running(settings, [ledger.build, echo_service]) as (platform, _):
        await append(platform, [666])
        (letter,) = await until(lambda: dead_letters.listing(platform.pool, "open", 10))
        assert await dead_letters.request_replay(platform.pool, letter.id)
        await until(lambda: dead_letters.listing(platform.pool, "open", 10))


async def test_a_forged_record_changes_nothing_and_is_kept(settings: Settings) -> None:
    async with running(settings, [ledger.build, echo_service]) as (platform, _):
        await append(platform, [1])
        await until(lambda: _count(platform, 1))
        async with AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap) as producer:
            await producer.send_and_wait("registry.versions", b"\xff not json", partition=0)
            forged = [("ce_source", b"urn:hallmark:registry"), ("ce_logindex", b"99"), ("ce_type", b"x")]
            await producer.send_and_wait("registry.versions", added(7).encode(), headers=forged, partition=1)
        await append(platform, [2])
        await until(lambda: _count(platform, 2))
        (letter,) = await until(lambda: dead_letters.listing(platform.pool, "open", 10))
        assert "not written by the relay" in letter.reason
        assert set(await echoes(platform)) == expected([1, 2])


async def test_a_wiped_broker_loses_nothing(settings: Settings, kafka_broker: LocalBroker) -> None:
    async with running(settings, [ledger.build, echo_service]) as (platform, _):
        await append(platform, range(20))
        await until(lambda: _count(platform, 20))
        await kafka_broker.wipe_and_restart()
        await append(platform, range(20, 60))
        await until(lambda: _count(platform, 60), seconds=60)
        assert sorted(await echoes(platform)) == sorted(expected(range(60)))
        await append(platform, [60])
        assert await first_value(settings, "registry.versions", b"1.0.60")  # the broker itself works again, too


async def first_value(settings: Settings, topic: str, part: bytes) -> bytes:
    """The first record of a topic that holds these bytes."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=settings.kafka_bootstrap, auto_offset_reset="earliest")
    async with asyncio.timeout(20), consumer:
        async for message in consumer:
            if message.value and part in message.value:
                return bytes(message.value)
    raise AssertionError("the consumer ended")


async def test_outsiders_read_cloudevents_with_their_place_in_the_log(settings: Settings) -> None:
    async with running(settings, [ledger.build]) as (platform, _):
        stream = f"asset:model:{uuid4()}"
        await platform.store.append(Append(stream, [new(added(n)) for n in range(3)], ANY))
        consumer = AIOKafkaConsumer(
            "registry.versions", bootstrap_servers=settings.kafka_bootstrap, auto_offset_reset="earliest"
        )
        async with asyncio.timeout(20), consumer:
            seen = []
            async for message in consumer:
                headers = {name: value.decode() for name, value in message.headers if value}
                if headers.get("ce_subject") == stream:
                    seen.append((headers["ce_type"], headers["ce_streamversion"], message.key.decode(), message.value))
                if len(seen) == 3:
                    break
        assert [(t, v, k) for t, v, k, _ in seen] == [(VersionAdded.type, str(n), stream) for n in range(3)]
        assert VersionAdded.model_validate_json(seen[0][3]) == added(0)
