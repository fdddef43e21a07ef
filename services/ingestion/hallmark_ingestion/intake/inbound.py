"""Pipelines' events on the Kafka topic `mlops.events`."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from registry_core.messaging.transport import InboundRecord, Rejection
from registry_core.problems import Problem
from registry_core.service import Platform

from hallmark_ingestion.intake.batch import by_the_broker, carry_out
from hallmark_ingestion.intake.bindings import from_record
from hallmark_ingestion.intake.cloudevents import CloudEvent

ACCOUNT: Final = "kafka:mlops"
"""Who acts: whoever may write to the topic, by the broker's own access rules."""


def make_handler(platform: Platform) -> Callable[[Sequence[InboundRecord]], Awaitable[Sequence[Rejection]]]:
    async def take_in(records: Sequence[InboundRecord]) -> Sequence[Rejection]:
        """Accept what can be, all at once, and say of the rest why not; (source, id) makes a redelivery harmless."""
        outcomes = await carry_out(platform, [_read(record) for record in records], ACCOUNT, by_the_broker)
        return [
            Rejection(record, outcome.reason())
            for record, outcome in zip(records, outcomes, strict=True)
            if isinstance(outcome, Problem)
        ]

    return take_in


def _read(record: InboundRecord) -> CloudEvent | Problem:
    try:
        return from_record(record.headers, record.value)
    except Problem as problem:
        return problem
