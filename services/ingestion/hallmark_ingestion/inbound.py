"""Pipelines' events on the Kafka topic `mlops.events`."""

from collections.abc import Awaitable, Callable, Sequence

from registry_core.messaging.transport import InboundRecord, Rejection
from registry_core.problems import Problem
from registry_core.service import Platform

from hallmark_ingestion.cloudevents import CloudEvent, from_binary, from_structured, is_binary
from hallmark_ingestion.commands import carry_out

MOST_BYTES = 256 * 1024
ACCOUNT = "kafka:mlops"
"""Who acts: whoever may write to the topic, by the broker's own access rules."""


def make_handler(platform: Platform) -> Callable[[Sequence[InboundRecord]], Awaitable[Sequence[Rejection]]]:
    async def take_in(records: Sequence[InboundRecord]) -> Sequence[Rejection]:
        """Accept each record or say why not; (source, id) makes a redelivery harmless."""
        rejections = []
        for record in records:
            try:
                await carry_out(platform, _read(record), ACCOUNT)
            except Problem as problem:
                rejections.append(Rejection(record, _reason(problem)))
        return rejections

    return take_in


def _read(record: InboundRecord) -> CloudEvent:
    if (size := len(record.value)) > MOST_BYTES:
        detail = f"{size} bytes; an event has at most {MOST_BYTES}"
        raise Problem(413, "too-large", detail, fix="upload large content as evidence and name its digest")
    if is_binary(record.headers, "ce_"):
        return from_binary(record.headers, record.value, "ce_")
    return from_structured(record.value)


def _reason(problem: Problem) -> str:
    where = f" at {problem.field}" if problem.field else ""
    return f"{problem.slug}{where}: {problem.detail}" + (f" — {problem.fix}" if problem.fix else "")
