"""Reads the records of one consumer group and hands them on; offsets are committed only after the work.

FastStream (0.7) only connects: its own loop reads on past a batch whose handling failed, and stands still for ever at a
record that aiokafka cannot decode, silently in both cases.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import ConsumerStoppedError, CorruptRecordException, KafkaError, UnsupportedCodecError

log = structlog.get_logger()

BATCH = 500
PAUSE_SECONDS = 1.0
"""Before a record that could neither be handled nor set aside is read again."""
Records = Sequence[ConsumerRecord[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Follower:
    """Loses no record: what fails is begun again at the first record not done, what cannot be decoded is set aside."""

    consumer: AIOKafkaConsumer
    handle: Callable[[TopicPartition, Records], Awaitable[None]]
    """Handles records of one partition, each at least once; sets aside by itself what it refuses."""
    set_aside: Callable[[TopicPartition, int, Exception], Awaitable[None]]
    """Keeps that the record at this offset was passed over, and why."""

    async def run(self) -> None:
        """For ever. Raises KafkaError when Kafka is lost."""
        while True:
            try:
                batches = await self.consumer.getmany(timeout_ms=200, max_records=BATCH)
            except Exception as error:
                _raise_unless_undecodable(error)
                log.warning("records cannot be decoded, reading them one by one", reason=repr(error))
                await self._begin_again()
            else:
                for tp, records in batches.items():
                    await self._settle(tp, records)

    async def _settle(self, tp: TopicPartition, records: Records) -> None:
        done = await self._first_undone(tp, records)
        await self._commit(tp, done)
        if done <= records[-1].offset:
            self._seek(tp, done)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _first_undone(self, tp: TopicPartition, records: Records) -> int:
        """The offset to go on at: behind the last record, or at the first that fails when it is handled alone."""
        after: int = records[-1].offset + 1
        try:
            await self.handle(tp, records)
        except Exception:
            log.exception("records are handled one by one", topic=tp.topic, partition=tp.partition)
            for record in records:
                try:
                    await self.handle(tp, [record])
                except Exception:
                    log.exception("a record waits", topic=tp.topic, partition=tp.partition, offset=record.offset)
                    return int(record.offset)
        return after

    async def _begin_again(self) -> None:
        """`getmany` lost what it had read before it failed, in any partition, and moved the positions past it."""
        for tp in self.consumer.assignment():
            committed = await self.consumer.committed(tp)
            if committed is None:
                await self.consumer.seek_to_beginning(tp)
            else:
                self._seek(tp, committed)
        for tp in self.consumer.assignment():
            await self._read_one_by_one(tp)

    async def _read_one_by_one(self, tp: TopicPartition) -> None:
        """Until the record that cannot be decoded, now met alone and for the second time, has been passed over."""
        for _ in range(2 * BATCH):
            offset = await self.consumer.position(tp)
            if offset >= (self.consumer.highwater(tp) or 0):
                return
            try:
                batches = await self.consumer.getmany(tp, timeout_ms=2000, max_records=1)
            except Exception as error:
                _raise_unless_undecodable(error)
                await self.set_aside(tp, offset, error)
                await self._commit(tp, offset + 1)
                self._seek(tp, offset + 1)
            else:
                if not batches:
                    return
                await self._settle(tp, batches[tp])

    def _seek(self, tp: TopicPartition, offset: int) -> None:
        if tp in self.consumer.assignment():
            self.consumer.seek(tp, offset)

    async def _commit(self, tp: TopicPartition, offset: int) -> None:
        """A hint for whoever reads this partition next: a refused commit repeats work, and is no error."""
        with suppress(KafkaError):
            if tp in self.consumer.assignment():
                await self.consumer.commit({tp: offset})


def _raise_unless_undecodable(error: Exception) -> None:
    """`getmany` raises what aiokafka's decoders raise (also OSError, of gzip), and errors of the connection."""
    of_a_record = isinstance(error, CorruptRecordException | UnsupportedCodecError)
    if isinstance(error, ConsumerStoppedError) or (isinstance(error, KafkaError) and not of_a_record):
        raise error
