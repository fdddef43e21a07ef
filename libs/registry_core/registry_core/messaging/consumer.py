"""A service's consumer group: follows the sealed log, partition by partition, and acts on each event once.

Kafka decides which member owns which partition and wakes it; what an event says is always read from the log, in
batches. So a forged, lost, doubled or reordered record on the broker changes nothing, a wiped broker costs a second,
and without any broker the same code follows the log alone (docs/decisions/0004).
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import takewhile

import structlog

from registry_core.clock import Clock
from registry_core.events import NewerEventTypeError, RecordedEvent, earlier_version, topic_of, versions_of
from registry_core.handlers import Cause, Handler, Handlers
from registry_core.messaging import dead_letters
from registry_core.messaging.unit_of_work import Commit, StaleReadError, UnitOfWork
from registry_core.store.connections import TRANSIENT, Connection, Pool
from registry_core.store.postgres import EVENT_COLUMNS, recorded
from registry_core.telemetry import HANDLED, LAG, span

log = structlog.get_logger()

BATCH = 500
STALE_ATTEMPTS = 50
Partition = tuple[str, int]

_NEXT = f"""
    select s.log_index, {EVENT_COLUMNS} from log.sealed s join log.events e using (position)
     where s.topic = (select number from log.topics where name = $1) and s.partition = $2 and s.log_index > $3
     order by s.log_index limit {BATCH}"""
_BEHIND = """
    select h.topic, h.partition, h.log_index - coalesce(w.log_index, -1) as lag
      from log.partition_heads h left join work.watermarks w
        on w.consumer = $1 and w.topic = h.topic and w.partition = h.partition
     where h.topic = any($2) and h.log_index > coalesce(w.log_index, -1)"""
_ADVANCE = """
    insert into work.watermarks as w (consumer, topic, partition, log_index) values ($1, $2, $3, $5)
    on conflict (consumer, topic, partition) do update set log_index = excluded.log_index where w.log_index = $4"""


class LostPartitionError(Exception):
    """Another member has moved this partition's watermark: it owns the partition now."""


_NOT_POISON = (StaleReadError, LostPartitionError, NewerEventTypeError, *TRANSIENT)
"""Reasons to stop and begin again, now or after an upgrade; any other is the event's own."""


class Consumer:
    """`advance` is the only way forward; Kafka, notifications and a slow poll all merely call it."""

    def __init__(self, service: str, handlers: Handlers, pool: Pool, clock: Clock) -> None:
        self.service = service
        self.topics = sorted({topic_of(event.type) for event in handlers})
        self._handlers: Mapping[str, Handler] = {
            name: handler for event, handler in handlers.items() for name in versions_of(event)
        }
        self._pool, self._clock = pool, clock
        self._locks: defaultdict[Partition, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def behind(self) -> list[Partition]:
        """Partitions whose head in the log is beyond this consumer's watermark."""
        rows = await self._pool.fetch(_BEHIND, self.service, self.topics)
        for row in rows:
            LAG.labels(self.service, row["topic"], row["partition"]).set(row["lag"])
        return [(row["topic"], row["partition"]) for row in rows]

    async def advance(self, partition: Partition) -> None:
        """Handle everything sealed in this partition up to its head, or up to what only a later release can read.

        Raises what is TRANSIENT, after losing nothing.
        """
        async with self._locks[partition]:
            try:
                while await self._advance_once(partition):
                    pass
            except NewerEventTypeError as error:
                log.warning("a partition waits for this service to be upgraded", partition=partition, reason=str(error))
                return
        LAG.labels(self.service, *partition).set(0)

    async def _advance_once(self, partition: Partition) -> bool:
        for attempt in range(STALE_ATTEMPTS):
            try:
                async with self._pool.acquire() as connection:
                    return await self._handle_next(connection, partition)
            except StaleReadError as error:
                log.debug("stale read, deciding anew", reason=str(error), attempt=attempt)
                await asyncio.sleep(0.002 * attempt)
            except LostPartitionError:
                return False
        raise TimeoutError(f"{partition} met {STALE_ATTEMPTS} stale reads in a row")

    async def _handle_next(self, connection: Connection, partition: Partition) -> bool:
        mark = _Mark(self.service, partition, await self._watermark(connection, partition))
        found = [recorded(row) for row in await connection.fetch(_NEXT, *partition, mark.committed)]
        events = list(takewhile(self._can_read, found))
        try:
            await self._handle_together(connection, events, mark)
        except _NOT_POISON:
            raise
        except Exception as error:  # of whichever event: effects may be refused long after their handler returned
            log.warning("events are handled one by one", partition=partition, reason=repr(error))
            for event in events:
                if (event.log_index or 0) > mark.committed:
                    await self._handle_alone(connection, partition, event, mark)
        if len(events) < len(found):
            raise NewerEventTypeError(found[len(events)].type)
        return len(events) == BATCH

    def _can_read(self, event: RecordedEvent) -> bool:
        """False for a later version of a type that is handled here: passed over, its effects would be lost."""
        earlier = earlier_version(event.type)
        return earlier is None or earlier.type not in self._handlers

    async def _handle_together(self, connection: Connection, events: Sequence[RecordedEvent], mark: "_Mark") -> None:
        work = UnitOfWork(connection, self.service, self._clock, lambda: mark.commit)
        for event in events:
            await self._handle(event, work)
            mark.reached = event.log_index or 0
        if mark.reached > mark.committed:
            await work.commit()

    async def _handle_alone(
        self, connection: Connection, partition: Partition, event: RecordedEvent, mark: "_Mark"
    ) -> None:
        """Poison, whatever the handler or the store could not stand, is set aside with its reason."""
        work = UnitOfWork(connection, self.service, self._clock, lambda: mark.commit)
        mark.reached = event.log_index or 0
        try:
            await self._handle(event, work)
            await work.commit()
        except _NOT_POISON:
            raise
        except Exception as error:
            await self._set_aside(connection, partition, event, error, mark)

    async def _watermark(self, connection: Connection, partition: Partition) -> int:
        found: int | None = await connection.fetchval(
            "select log_index from work.watermarks where consumer = $1 and topic = $2 and partition = $3",
            self.service, *partition,
        )  # fmt: skip
        return -1 if found is None else found

    async def _handle(self, event: RecordedEvent, work: UnitOfWork) -> None:
        handler = self._handlers.get(event.type)
        if handler is None or event.body is None:
            return
        with span(f"{self.service} {event.type}", event.traceparent, stream=event.stream):
            work.add(await handler(event, work), Cause.of(event))
        HANDLED.labels(self.service, event.type, "handled").inc()

    async def _set_aside(
        self, connection: Connection, partition: Partition, event: RecordedEvent, error: Exception, mark: "_Mark"
    ) -> None:
        reason = f"{type(error).__name__}: {error}"
        log.error("event set aside", type=event.type, log_index=event.log_index, reason=reason, exc_info=error)
        HANDLED.labels(self.service, event.type, "dead_letter").inc()
        async with connection.transaction():
            await dead_letters.put(connection, dead_letters.of_event(self.service, partition, event, reason))
            await mark.commit(connection)

    async def replay_dead_letters(self) -> None:
        """Handle anew what `hallmark dead-letters replay` marked; success or a new dead letter, never a loss."""
        async with self._pool.acquire() as connection:
            for letter, event in await dead_letters.replaying(connection, self.service):
                work = UnitOfWork(connection, self.service, self._clock, lambda: _replayed(letter))  # noqa: B023 - used before the next turn
                try:
                    await self._handle(event, work)
                    await work.commit()
                except (StaleReadError, *TRANSIENT):
                    raise
                except Exception as error:
                    await dead_letters.reopen(connection, letter, f"{type(error).__name__}: {error}")


def _replayed(letter: int) -> Commit:
    async def commit(connection: Connection) -> None:
        await dead_letters.mark_replayed(connection, letter)

    return commit


class _Mark:
    """The watermark of one partition during one batch."""

    def __init__(self, service: str, partition: Partition, committed: int) -> None:
        self._service, self._partition = service, partition
        self.committed = self.reached = committed

    async def commit(self, connection: Connection) -> None:
        if self.reached == self.committed:
            return
        status = await connection.execute(_ADVANCE, self._service, *self._partition, self.committed, self.reached)
        if status.endswith(" 0"):
            raise LostPartitionError
        self.committed = self.reached
