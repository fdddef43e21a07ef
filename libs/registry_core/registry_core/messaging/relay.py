"""Publishes the sealed log to Kafka as CloudEvents, at least once and in order per partition.

The relay never rewinds: consumers repair themselves from the log, so a wiped broker needs nothing from it.
"""

import asyncio
from collections.abc import Iterable
from contextlib import closing

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownError

from registry_core.events import RecordedEvent
from registry_core.messaging import kafka
from registry_core.notifier import SEALED, Notifier
from registry_core.settings import Settings
from registry_core.store.connections import TRANSIENT, Pool
from registry_core.store.postgres import EVENT_COLUMNS, recorded
from registry_core.telemetry import RELAYED, span

log = structlog.get_logger()

BATCH = 1000
Headers = list[tuple[str, bytes]]


def cloudevent_headers(event: RecordedEvent, previous_index: int) -> Headers:
    """CloudEvents 1.0, Kafka binding, binary content mode, with Hallmark's extensions."""
    attributes = {
        "specversion": "1.0",
        "id": str(event.id),
        "source": "urn:hallmark:registry",
        "type": event.type,
        "subject": event.stream,
        "time": event.occurred_at.isoformat(),
        "recordedtime": event.recorded_at.isoformat(),
        "streamversion": str(event.version),
        "logindex": str(event.log_index),
        "previousindex": str(previous_index),
        "correlationid": str(event.correlation_id),
        "actor": event.actor,
    }
    if event.causation_id:
        attributes["causationid"] = str(event.causation_id)
    if event.traceparent:
        attributes["traceparent"] = event.traceparent
    headers = [(f"ce_{name}", value.encode()) for name, value in attributes.items()]
    return [("content-type", b"application/json"), *headers]


class RecycleError(Exception):
    """The embedded broker's topics have to be made anew; consumers repair themselves from the log meanwhile."""


class Relay:
    def __init__(self, pool: Pool, settings: Settings, notifier: Notifier) -> None:
        self._pool, self._settings, self._notifier = pool, settings, notifier
        self._offsets: dict[tuple[str, int], int] = {}

    async def run(self) -> None:
        """For ever; every failure starts over from the last acknowledged index with a new producer."""
        anew: list[str] = []
        while True:
            try:
                await kafka.ensure_topics(self._settings, anew)
                anew, self._offsets = [], {}
                async with kafka.producer(self._settings) as producer:
                    await self._follow(producer)
            except (KafkaError, RecycleError, *TRANSIENT) as error:
                log.warning("relay starts over", reason=repr(error))
                anew = kafka.registry_topics() if self._must_recycle(error) else []
                await asyncio.sleep(0.2)

    def _must_recycle(self, error: Exception) -> bool:
        """The embedded broker's topics are broken when somebody wrote before they existed, as after a wipe."""
        return self._settings.kafka_flavour == "tansu" and isinstance(error, RecycleError | UnknownError)

    async def _follow(self, producer: AIOKafkaProducer) -> None:
        sealed = self._notifier.subscribe(SEALED)
        with closing(sealed):
            while True:
                if not await self.publish_next(producer):
                    await sealed.wait(0.5)

    async def publish_next(self, producer: AIOKafkaProducer) -> int:
        """Publish up to BATCH events past the cursor; the number published."""
        rows = await self._pool.fetch(
            f"""select s.log_index, t.name as topic, s.partition, s.previous_index, {EVENT_COLUMNS}
                  from work.relay r, log.sealed s
                  join log.events e using (position) join log.topics t on t.number = s.topic
                 where s.log_index >= r.next_index order by s.log_index limit {BATCH}"""
        )
        if not rows:
            return 0
        with span("relay publish", events=str(len(rows))):
            async with asyncio.timeout(15):
                await self._send(
                    producer, ((r["topic"], r["partition"], r["previous_index"], recorded(r)) for r in rows)
                )
        await self._pool.execute("update work.relay set next_index = $1", rows[-1]["log_index"] + 1)
        RELAYED.inc(len(rows))
        return len(rows)

    async def _send(self, producer: AIOKafkaProducer, records: Iterable[tuple[str, int, int, RecordedEvent]]) -> None:
        sent = [
            await producer.send(
                topic, event.body, key=event.stream.encode(), partition=partition,
                headers=cloudevent_headers(event, previous),
            )
            for topic, partition, previous, event in records
        ]  # fmt: skip
        for acknowledged in await asyncio.gather(*sent):
            self._check_offset((acknowledged.topic, acknowledged.partition), acknowledged.offset)

    def _check_offset(self, partition: tuple[str, int], offset: int) -> None:
        """Offsets that go back tell of a wiped broker; very large ones, on the embedded broker, of a full one."""
        last, most = self._offsets.get(partition, -1), kafka.profile(self._settings).recycle_after
        if most and not last < offset < most:
            raise RecycleError(f"{partition} went from offset {last} to {offset}")
        self._offsets[partition] = offset
