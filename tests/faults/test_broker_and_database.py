"""The broker is lost whole, the database restarts or crashes, records come again and again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Final

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from faults.chaos import at_sizes
from faults.end_state import EndState, differences
from faults.invariants import at_rest
from faults.place import NewPlace, Place
from registry_core.local.broker import LocalBroker
from registry_core.local.postgres import LocalPostgres, postgres
from registry_core.messaging.kafka import registry_topics
from registry_core.settings import Settings

pytestmark = [pytest.mark.faults, pytest.mark.messaging]

TIMES: Final = 3


@pytest.fixture
async def durable_postgres(tmp_path: Path) -> AsyncIterator[LocalPostgres]:
    """A server that may crash: what it acknowledged is on disk."""
    async with postgres(tmp_path / "postgres") as server:
        yield server


@pytest.fixture
async def log_size(undisturbed: EndState, undisturbed_place: Place) -> int:
    """Events of the undisturbed journey."""
    return await undisturbed_place.log_size()


def moments(log_size: int, count: int) -> list[int]:
    """Sizes of the log at which something happens, spread over the journey."""
    return [log_size * n // (count + 1) for n in range(1, count + 1)]


@pytest.mark.timeout(300)
async def test_a_broker_wiped_in_the_middle_loses_nothing(
    undisturbed: EndState, log_size: int, new_place: NewPlace, kafka_broker: LocalBroker
) -> None:
    place = await new_place()
    wipes = [kafka_broker.wipe_and_restart] * TIMES
    async with place.services() as services:
        held = await place.checkpoint()
        await asyncio.gather(place.walk(services), at_sizes(place.settings, moments(log_size, TIMES), wipes))
        assert differences(undisturbed, await place.settle(services, held)) == {}


@pytest.mark.timeout(300)
async def test_a_database_that_restarts_or_crashes_loses_nothing(
    undisturbed: EndState, log_size: int, new_place: NewPlace, durable_postgres: LocalPostgres
) -> None:
    async def crash() -> None:
        await durable_postgres.kill()
        await durable_postgres.restart()

    place = await new_place(durable_postgres)
    strikes = [durable_postgres.restart, crash, crash, durable_postgres.restart]
    async with place.services() as services:
        held = await place.checkpoint()
        await asyncio.gather(place.walk(services), at_sizes(place.settings, moments(log_size, len(strikes)), strikes))
        assert differences(undisturbed, await place.settle(services, held)) == {}


@pytest.mark.timeout(180)
async def test_every_record_delivered_many_times_changes_nothing(
    undisturbed: EndState, log_size: int, undisturbed_place: Place
) -> None:
    place = undisturbed_place
    async with place.services() as services, place.owner() as owner:
        await owner.execute("update work.relay set next_index = 0")
        await at_rest(owner, place.installation)
        await republish_shuffled(place.settings, Random(7), log_size)
        for _ in range(TIMES):
            await owner.execute("update work.watermarks set log_index = -1")
            await owner.execute("update work.relay set next_index = 0")
            await at_rest(owner, place.installation)
        assert differences(undisturbed, await place.settle(services)) == {}
        assert await place.log_size() == log_size


async def republish_shuffled(settings: Settings, random: Random, events: int) -> None:
    """Every record of the registry's topics, several times and in any order."""
    records = await all_records(settings, events) * TIMES
    random.shuffle(records)
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap) as producer:
        for r in records:
            await producer.send(r.topic, r.value, key=r.key, partition=r.partition, headers=list(r.headers))


async def all_records(settings: Settings, events: int) -> list[ConsumerRecord[bytes, bytes]]:
    consumer = AIOKafkaConsumer(
        *registry_topics(), bootstrap_servers=settings.kafka_bootstrap, auto_offset_reset="earliest"
    )
    records: list[ConsumerRecord[bytes, bytes]] = []
    async with consumer:
        while len(records) < events:
            records += [r for batch in (await consumer.getmany(timeout_ms=1000)).values() for r in batch]
    return records
