"""Pipelines' events from a Kafka topic into the log, beside a consumer that only polls the same records."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import islice
from time import perf_counter
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from hallmark_ingestion.intake.inbound import make_handler
from registry_core.local.broker import LocalBroker, broker
from registry_core.messaging import kafka
from registry_core.messaging.follower import BATCH
from registry_core.messaging.transport import InboundRecord, Rejection, Transport
from registry_core.service import Platform, open_platform
from registry_core.settings import Settings

from bench.place import Place
from bench.registrations import registrations
from bench.workload import Sample, Sides, ratio_at_least, workload

RECORDS = 10_000
TOPIC = "mlops.events"


@workload("ingest_kafka", "records/s", ratio_at_least(0.5))
async def ingest_kafka(place: Place) -> AsyncIterator[Sides]:
    """10,000 records polled, validated, durable in the log, offsets committed; the same records, only polled."""
    async with _running(place) as (platform, server):
        events = registrations()

        async def ours() -> Sample:
            await _fill(server, platform.settings, events)
            return await _ingested(platform)

        async def reference() -> Sample:
            return await _polled(platform.settings)

        yield Sides(ours, reference)


@asynccontextmanager
async def _running(place: Place) -> AsyncIterator[tuple[Platform, LocalBroker]]:
    folder = place.folder / f"kafka-{uuid4().hex[:8]}"
    folder.mkdir()
    async with place.database() as database, broker(folder=folder) as server:
        settings = Settings(
            data_dir=folder,
            log_level="warning",
            postgres_dsn=database.service_dsn,
            kafka_bootstrap=server.bootstrap,
            kafka_flavour="tansu",
        )
        platform = await open_platform(settings)
        try:
            yield platform, server
        finally:
            platform.terminate()


async def _fill(server: LocalBroker, settings: Settings, events: Iterator[bytes]) -> None:
    """Fresh records in an empty broker: what it held before would make its answers slower."""
    await server.wipe_and_restart()
    await kafka.ensure_topics(settings)
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, linger_ms=20) as producer:
        headers = [("content-type", b"application/cloudevents+json")]
        sent = [await producer.send(TOPIC, value, headers=headers) for value in islice(events, RECORDS)]
        await asyncio.gather(*sent)


async def _ingested(platform: Platform) -> Sample:
    """From the first poll that gave records until the last of them is durable."""
    handle, begun, done, through = make_handler(platform), list[float](), 0, asyncio.Event()

    async def timed(records: Sequence[InboundRecord]) -> Sequence[Rejection]:
        nonlocal done
        begun.append(perf_counter())
        rejected = await handle(records)
        done += len(records) - len(rejected)
        if done >= RECORDS:
            through.set()
        return rejected

    following = asyncio.create_task(
        Transport("ingestion", platform.settings, platform.pool, None, {TOPIC: timed}).run()
    )
    try:
        async with asyncio.timeout(300):
            await through.wait()
        return Sample(RECORDS / (perf_counter() - begun[0]))
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


async def _polled(settings: Settings) -> Sample:
    profile = kafka.profile(settings)
    consumer = AIOKafkaConsumer(
        TOPIC, bootstrap_servers=settings.kafka_bootstrap, group_id=f"bare-{uuid4()}", enable_auto_commit=False,
        auto_offset_reset="earliest", fetch_max_wait_ms=profile.fetch_max_wait_ms,
        session_timeout_ms=profile.session_timeout_ms, heartbeat_interval_ms=profile.heartbeat_interval_ms,
    )  # fmt: skip
    async with consumer:
        done, begun = 0, 0.0
        async with asyncio.timeout(300):
            while done < RECORDS:
                batches = await consumer.getmany(timeout_ms=200, max_records=BATCH)
                begun = begun or (perf_counter() if batches else 0.0)
                done += sum(len(records) for records in batches.values())
        return Sample(RECORDS / (perf_counter() - begun))
