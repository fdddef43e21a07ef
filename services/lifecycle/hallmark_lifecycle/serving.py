"""Takes in inference events, each counted once however often it is delivered.

A client's event can come again in another batch, after other events, from another partition; so an id derived from a
batch alone would count it twice. The table `work.served_inferences` remembers each event's id, written in the same
transaction as the windows it was counted in: either both are there or neither, and of two consumers that hold the same
event at once the second waits for the first and then finds it known. Ids are kept for `REMEMBERED` by the event's own
time, and no older event is accepted: what can no longer be told from a repetition is never counted.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final
from uuid import UUID

from registry_core.events import NewEvent, Origin
from registry_core.events.governance import ServedWindowRecorded
from registry_core.messaging.transport import InboundRecord, Rejection
from registry_core.service import Platform
from registry_core.store.appending import append_batch, existing_ids
from registry_core.store.connections import Connection
from registry_core.store.model import ANY, Append
from registry_core.store.postgres import read_streams

from hallmark_lifecycle.inference import Inference, InferenceError, parse
from hallmark_lifecycle.windows import windows

REMEMBERED: Final = timedelta(days=8)
ACCEPTED: Final = timedelta(days=7)
CLOCK_SKEW: Final = timedelta(minutes=5)

_REMEMBER = """
    insert into work.served_inferences (id, at) select * from unnest($1::uuid[], $2::timestamptz[])
    on conflict do nothing returning id"""


class InferenceLog:
    """The inbound topic `serving.inference`."""

    def __init__(self, platform: Platform) -> None:
        self._platform, self._vault = platform, platform.vault

    async def accept(self, records: Sequence[InboundRecord]) -> Sequence[Rejection]:
        """Count what can be counted; say of the rest why not."""
        requests: dict[UUID, Inference] = {}
        rejections: list[Rejection] = []
        now = self._platform.clock()
        for record in records:
            try:
                inference = parse(record)
                self._check_time(inference.at, now)
            except InferenceError as error:
                rejections.append(Rejection(record, str(error)))
            else:
                if inference.is_request:
                    requests.setdefault(inference.id, inference)
        if requests and await self._count(sorted(requests.values(), key=lambda i: i.id)):
            self._platform.store.on_append()
        return rejections

    async def prune(self) -> None:
        """Forget ids of events that would no longer be accepted."""
        oldest = self._platform.clock() - REMEMBERED
        await self._platform.pool.execute("delete from work.served_inferences where at < $1", oldest)

    def _check_time(self, at: datetime, now: datetime) -> None:
        if at < now - ACCEPTED:
            raise InferenceError(
                f"time {at.isoformat()} is more than {ACCEPTED.days} days ago; it cannot be told from a repetition"
            )
        if at > now + CLOCK_SKEW and not self._platform.settings.movable_clock:
            raise InferenceError(f"time {at.isoformat()} lies in the future; it is {now.isoformat()}")

    async def _count(self, inferences: Sequence[Inference]) -> bool:
        """One transaction; whether anything was new. In the order of ids, so that two consumers cannot deadlock."""
        async with self._platform.pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_REMEMBER, [i.id for i in inferences], [i.at for i in inferences])
            new = {row["id"] for row in rows}
            await self._record(connection, [i for i in inferences if i.id in new])
        return bool(new)

    async def _record(self, connection: Connection, inferences: Sequence[Inference]) -> None:
        refs = sorted({inference.ref for inference in inferences if inference.ref})
        streams = await read_streams(connection, refs)
        customers = {inference.customer for inference in inferences if inference.customer}
        pseudonyms = await self._vault.pseudonyms(connection, "c", customers) if customers else {}
        made = windows(inferences, streams, pseudonyms.__getitem__)
        known = await existing_ids(connection, [event_id for event_id, _ in made])
        events = [self._event(event_id, data) for event_id, data in made if event_id not in known]
        if events:
            await append_batch(connection, _appends(events))

    def _event(self, event_id: UUID, data: ServedWindowRecorded) -> NewEvent:
        origin = Origin(actor="service:lifecycle", occurred_at=self._platform.clock(), correlation_id=event_id)
        return NewEvent(id=event_id, data=data, origin=origin)


def _appends(events: Iterable[NewEvent]) -> list[Append]:
    by_stream = sorted(((_stream(event), event) for event in events), key=lambda pair: pair[0])
    return [
        Append(stream, [event for _, event in pairs], ANY) for stream, pairs in groupby(by_stream, key=lambda p: p[0])
    ]


def _stream(event: NewEvent) -> str:
    assert isinstance(event.data, ServedWindowRecorded)
    return f"serving:{event.data.deployment}"
