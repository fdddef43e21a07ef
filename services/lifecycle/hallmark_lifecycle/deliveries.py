"""Inference events that a source delivered over HTTP: each ends where those of the Kafka topic do."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from registry_core import inbox
from registry_core.handlers import Effect, Reader
from registry_core.inbox import Delivery, settled
from registry_core.messaging.jobs import JobFunction
from registry_core.messaging.transport import InboundRecord
from registry_core.problems import Problem
from registry_core.sources import speaking
from registry_core.store.connections import Pool

from hallmark_lifecycle.serving import InferenceLog


def counting(pool: Pool, inferences: InferenceLog) -> JobFunction:
    async def count(payload: Mapping[str, Any], reader: Reader) -> Sequence[Effect]:
        """One delivery of the inbox. Counted once, for the log of inferences knows each event again."""
        delivery = await inbox.find(pool, UUID(payload["delivery"]))
        if delivery is None:
            return []
        try:
            await speaking(reader, delivery.source)
        except Problem as problem:
            return [settled(delivery.id, "failed", reason=problem.sentence())]
        rejections = await inferences.accept([record(delivery)])
        if rejections:
            return [settled(delivery.id, "failed", reason=rejections[0].reason)]
        return [settled(delivery.id, "taken", told=["taken into the windows of what served"])]

    return count


def record(delivery: Delivery) -> InboundRecord:
    """As it would have come over Kafka: CloudEvents' HTTP headers `ce-…` are `ce_…` there."""
    headers = {f"ce_{name[3:]}" if name.startswith("ce-") else name: value for name, value in delivery.headers.items()}
    return InboundRecord("serving.inference", 0, str(delivery.id), None, headers, delivery.body)
