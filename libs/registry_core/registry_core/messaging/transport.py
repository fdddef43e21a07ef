"""FastStream at the edge: one subscriber for a service's registry topics, one for each inbound topic.

What a record of a registry topic says is read from the log (the watermark in PostgreSQL is the truth). See
architecture.md, "Consumers", for the traps.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from registry_core.messaging import dead_letters, kafka
from registry_core.messaging.consumer import Consumer, Partition
from registry_core.messaging.dead_letters import DeadLetter
from registry_core.messaging.follower import Follower, Records
from registry_core.settings import Settings
from registry_core.store.connections import TRANSIENT, Pool

log = structlog.get_logger()

_FOREIGN = "not written by the relay: no ce_logindex; registry topics are read-only to everybody else"
STUCK_SECONDS = 2.0
"""A partition that is behind and does not move for so long is taken by whoever sees it: the watermark allows one."""


@dataclass(frozen=True, slots=True)
class InboundRecord:
    """A record that somebody outside wrote; nothing about it is trusted."""

    topic: str
    partition: int
    record: str
    key: str | None
    headers: Mapping[str, str]
    value: bytes


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record that can never be accepted as it is, and why."""

    record: InboundRecord
    reason: str


InboundHandler = Callable[[Sequence[InboundRecord]], Awaitable[Sequence[Rejection]]]
"""Accepts what it can (idempotently: it may see a record again) and says what it cannot."""


class Transport:
    """Connects one service to Kafka, and keeps trying while there is none."""

    def __init__(
        self,
        service: str,
        settings: Settings,
        pool: Pool,
        consumer: Consumer | None,
        inbound: Mapping[str, InboundHandler],
    ) -> None:
        self._service, self._settings, self._pool = service, settings, pool
        self._consumer, self._inbound = consumer, inbound
        self._broker: KafkaBroker | None = None
        self._stuck: dict[Partition, float] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._repair_for_ever())
            if self._settings.kafka_bootstrap and (self._consumer or self._inbound):
                tasks.create_task(self._stay_connected())

    async def _stay_connected(self) -> None:
        while True:
            broker = self._make_broker()
            try:
                await kafka.ensure_topics(self._settings)
                await broker.start()
                self._broker = broker
                log.info("following Kafka", bootstrap=self._settings.kafka_bootstrap)
                await self._follow()
            except* (KafkaError, ConsumerStoppedError, *TRANSIENT) as error:
                log.warning("no Kafka, trying again", reason=repr(error.exceptions))
            except* Exception:
                log.exception("following Kafka failed, and is begun again")
            finally:
                self._broker = None
                with suppress(KafkaError, *TRANSIENT):
                    await broker.stop()
            await asyncio.sleep(0.5)

    def _make_broker(self) -> KafkaBroker:
        profile = kafka.profile(self._settings)
        broker = KafkaBroker(
            self._settings.kafka_bootstrap.split(","),
            security=kafka.faststream_security(self._settings),
            enable_idempotence=profile.idempotent,
            graceful_timeout=5.0,
            logger=None,
        )
        groups = {f"{self._service}.{topic}": [topic] for topic in self._inbound}
        if self._consumer and self._consumer.topics:
            groups[self._service] = self._consumer.topics
        for group, topics in groups.items():
            broker.subscriber(
                *topics,
                group_id=f"hallmark.{group}",
                ack_policy=AckPolicy.MANUAL,
                auto_offset_reset="earliest",
                fetch_max_wait_ms=profile.fetch_max_wait_ms,
                session_timeout_ms=profile.session_timeout_ms,
                heartbeat_interval_ms=profile.heartbeat_interval_ms,
                rebalance_timeout_ms=profile.rebalance_timeout_ms,
            )
        return broker

    async def _follow(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for consumer in self._kafka_consumers():
                tasks.create_task(Follower(consumer, self._handle, self._pass_over).run())
            while True:
                await asyncio.sleep(1.0)
                await self._rewind_if_wiped()

    async def _handle(self, tp: TopicPartition, records: Records) -> None:
        handle = self._on_inbound_records if tp.topic in self._inbound else self._on_registry_records
        await handle(tp, records)

    async def _pass_over(self, tp: TopicPartition, offset: int, error: Exception) -> None:
        """Its content stays in Kafka, for as long as the topic keeps it: the client cannot read it."""
        record = InboundRecord(tp.topic, tp.partition, f"{dead_letters.UNDECODABLE}:{offset}", None, {}, b"")
        await _patiently(lambda: self._reject(Rejection(record, f"undecodable record: {error!r}")))

    async def _on_registry_records(self, tp: TopicPartition, records: Records) -> None:
        """The records only wake us: what they say is read from the log."""
        assert self._consumer is not None
        consumer = self._consumer
        for record in await self._readable(records):
            if not _is_the_relays(record):
                await _patiently(lambda record=record: self._reject(Rejection(record, _FOREIGN)))  # type: ignore[misc]  # mypy cannot type a lambda's default
        await _patiently(lambda: consumer.advance((tp.topic, tp.partition)))

    async def _on_inbound_records(self, tp: TopicPartition, records: Records) -> None:
        readable = await self._readable(records)
        await _patiently(lambda: self._accept(tp.topic, readable))

    async def _readable(self, records: Records) -> list[InboundRecord]:
        """A record that no InboundRecord can be made of is set aside alone."""
        readable: list[InboundRecord] = []
        for record in records:
            try:
                readable.append(_inbound(record))
            except Exception as error:
                bare = InboundRecord(record.topic, record.partition, _name(record), None, {}, record.value or b"")
                rejection = Rejection(bare, f"unfit record: {error!r}")
                await _patiently(lambda rejection=rejection: self._reject(rejection))  # type: ignore[misc]  # mypy cannot type a lambda's default
        return readable

    async def _accept(self, topic: str, records: Sequence[InboundRecord]) -> None:
        for rejection in await self._rejections(topic, records):
            await self._reject(rejection)

    async def _rejections(self, topic: str, records: Sequence[InboundRecord]) -> Sequence[Rejection]:
        """The handler's own; a record that it cannot stand is found by handing in each alone."""
        try:
            return await self._inbound[topic](records)
        except TRANSIENT:
            raise
        except Exception as error:
            if len(records) == 1:
                return [Rejection(records[0], f"{type(error).__name__}: {error}")]
            return [found for record in records for found in await self._rejections(topic, [record])]

    async def _reject(self, rejection: Rejection) -> None:
        record = rejection.record
        log.warning("record set aside", topic=record.topic, record=record.record, reason=rejection.reason)
        letter = DeadLetter(
            consumer=self._service, topic=record.topic, partition=record.partition, record=record.record,
            key=record.key, headers=dict(record.headers), value=record.value, reason=rejection.reason,
        )  # fmt: skip
        async with self._pool.acquire() as connection:
            await dead_letters.put(connection, letter)
        with suppress(KafkaError, *TRANSIENT):  # the row above is the letter; the topic is a courtesy
            if self._broker:
                await self._broker.publish(
                    record.value, topic=f"{record.topic}.dlq", key=record.key.encode() if record.key else None,
                    headers={**record.headers, "hallmark_reason": rejection.reason[:1000]},
                )  # fmt: skip

    async def _rewind_if_wiped(self) -> None:
        """The embedded broker says nothing when a position is past the end of a wiped partition: see for ourselves."""
        for consumer in self._kafka_consumers():
            for tp in consumer.assignment():
                highwater = consumer.highwater(tp)
                if highwater is not None and await consumer.position(tp) > highwater:
                    log.warning("partition was wiped, reading it anew", topic=tp.topic, partition=tp.partition)
                    await consumer.seek_to_beginning(tp)

    def _kafka_consumers(self) -> list[AIOKafkaConsumer]:
        subscribers: Any = self._broker.subscribers if self._broker else ()
        return [s.consumer for s in subscribers if s.consumer is not None]

    def _assigned(self) -> set[Partition]:
        return {(tp.topic, tp.partition) for consumer in self._kafka_consumers() for tp in consumer.assignment()}

    async def _repair_for_ever(self) -> None:
        while True:
            try:
                await self._repair()
            except (*TRANSIENT, KafkaError) as error:
                log.warning("repair waits", reason=repr(error))
            except Exception:  # one bad letter or event must not end the service
                log.exception("repair failed, and is tried again")
            await asyncio.sleep(1.0)

    async def _repair(self) -> None:
        if self._consumer:
            for partition in await self._consumer.behind():
                if self._may_take(partition):
                    await self._consumer.advance(partition)
            await self._consumer.replay_dead_letters()
        await self._replay_inbound()

    def _may_take(self, partition: Partition) -> bool:
        if not self._settings.kafka_bootstrap or partition in self._assigned():
            self._stuck.pop(partition, None)
            return True
        now = asyncio.get_running_loop().time()
        return now - self._stuck.setdefault(partition, now) > STUCK_SECONDS

    async def _replay_inbound(self) -> None:
        async with self._pool.acquire() as connection:
            for letter in await dead_letters.replaying_inbound(connection, self._service):
                record = InboundRecord(
                    letter.topic, letter.partition, letter.record, letter.key, letter.headers, letter.value
                )
                rejections = await self._rejections(letter.topic, [record])
                if rejections:
                    await dead_letters.reopen(connection, letter.id, rejections[0].reason)
                else:
                    await dead_letters.mark_replayed(connection, letter.id)


def _is_the_relays(record: InboundRecord) -> bool:
    headers = record.headers
    return headers.get("ce_logindex", "").isdecimal() and headers.get("ce_source") == "urn:hallmark:registry"


def _headers(record: ConsumerRecord[bytes, bytes]) -> dict[str, str]:
    """Of text that is no UTF-8 the readable part. A value may be null in Kafka, which aiokafka's types leave out."""
    return {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}


def _name(record: ConsumerRecord[bytes, bytes]) -> str:
    return f"{record.timestamp}:{record.offset}"  # a wiped broker counts its offsets anew


def _inbound(record: ConsumerRecord[bytes, bytes]) -> InboundRecord:
    return InboundRecord(
        topic=record.topic,
        partition=record.partition,
        record=_name(record),
        key=record.key.decode("utf-8", "replace") if record.key else None,
        headers=_headers(record),
        value=record.value or b"",
    )


async def _patiently(work: Callable[[], Awaitable[None]]) -> None:
    """Try again, with growing pauses, for as long as the failure is one that passes."""
    pause = 0.05
    while True:
        try:
            return await work()
        except TRANSIENT as error:
            log.warning("waiting for a dependency", reason=repr(error), pause=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)
