"""What was sent over HTTP under an id that stands for other content: refused, and kept for somebody to look at."""

import json
from collections.abc import Sequence
from typing import Final

from registry_core.messaging import dead_letters
from registry_core.messaging.dead_letters import DeadLetter
from registry_core.problems import Problem
from registry_core.service import Platform

from hallmark_ingestion.domain import event_key
from hallmark_ingestion.intake.batch import SAME_ID, Outcome
from hallmark_ingestion.intake.cloudevents import CloudEvent

KEPT: Final = 100
"""Open letters of one account: more tell nothing new, and one account is not to fill the table."""


async def keep_conflicts(
    platform: Platform, account: str, events: Sequence[CloudEvent | Problem], outcomes: Sequence[Outcome]
) -> None:
    """The first content that came in conflict under each (source, id)."""
    letters = [
        _letter(account, event, outcome)
        for event, outcome in zip(events, outcomes, strict=True)
        if isinstance(event, CloudEvent) and isinstance(outcome, Problem) and outcome.slug == SAME_ID
    ]
    if letters:
        await dead_letters.put_few(platform.pool, letters[:KEPT], KEPT)


def _letter(account: str, event: CloudEvent, problem: Problem) -> DeadLetter:
    return DeadLetter(
        consumer="ingestion", topic=dead_letters.HTTP, partition=0, record=event_key(event.source, event.id),
        key=account, headers={"ce_id": event.id, "ce_source": event.source, "ce_type": event.type},
        value=json.dumps(event.document()).encode(), reason=problem.sentence(),
    )  # fmt: skip
