"""Publishes the sealed log to Kafka as CloudEvents, at least once and in order per partition.

The relay never rewinds: consumers repair themselves from the log, so a wiped broker needs nothing from it.
"""

import asyncio
from collections.abc import Iterable
from contextlib import closing

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from registry_core.events import RecordedEvent
from registry_core.messaging import kafka
from registry_core.notifier import SEALED, Notifier
from registry_core.settings import Settings
from registry_core.store.postgres import EVENT_COLUMNS, TRANSIENT, Pool, recorded
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


class Relay:
    def __init__(self, pool: Pool, settings: Settings, notifier: Notifier) -> None:
        self._pool, self._settings, self._notifier = pool, settings, notifier

    async def run(self) -> None:
        """For ever; every failure starts over from the last acknowledged index with a new producer."""
        while True:
            try:
                await kafka.ensure_topics(self._settings)
                async with kafka.producer(self._settings) as producer:
                    await self._follow(producer)
            except (KafkaError, *TRANSIENT) as error:
                log.warning("relay starts over", reason=repr(error))
                await asyncio.sleep(0.5)

    async def _follow(self, producer: AIOKafkaProducer) -> None:
        sealed = self._notifier.subscribe(SEALED)
        with closing(sealed):
            while True:
                if not await self.publish_next(producer):
                    await sealed.wait(0.5)

    async def publish_next(self, producer: AIOKafkaProducer) -> int:
        """Publish up to BATCH events past the cursor; the number published."""
        rows = await self._pool.fetch(
            f"""select s.log_index, s.topic, s.partition, s.previous_index, {EVENT_COLUMNS}
                  from log.sealed s join log.events e using (position), work.relay r
                 where s.log_index >= r.next_index order by s.log_index limit {BATCH}"""
        )
        if not rows:
            return 0
        with span("relay publish", events=str(len(rows))):
            async with asyncio.timeout(15):
                await _send(producer, ((r["topic"], r["partition"], r["previous_index"], recorded(r)) for r in rows))
        await self._pool.execute("update work.relay set next_index = $1", rows[-1]["log_index"] + 1)
        RELAYED.inc(len(rows))
        return len(rows)


async def _send(producer: AIOKafkaProducer, records: Iterable[tuple[str, int, int, RecordedEvent]]) -> None:
    acknowledgements = [
        await producer.send(
            topic, event.body, key=event.stream.encode(), partition=partition,
            headers=cloudevent_headers(event, previous),
        )
        for topic, partition, previous, event in records
    ]  # fmt: skip
    await asyncio.gather(*acknowledgements)
