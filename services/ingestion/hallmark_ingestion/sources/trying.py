"""Trying a source: a sample under its own secret, or a pasted delivery, is proven and read, to no effect."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from registry_core.problems import Problem
from registry_core.service import Platform
from registry_core.sources import ACTION, Source, speaking

from hallmark_ingestion.sources.handling import in_words
from hallmark_ingestion.sources.receivers import RECEIVERS
from hallmark_ingestion.sources.receivers.base import (
    Receiver,
    Sample,
    StaleError,
    UnprovenError,
    UnreadableError,
    check_fresh,
)


@dataclass(frozen=True, slots=True)
class Step:
    step: str
    ok: bool
    detail: str


async def try_out(platform: Platform, source: Source, pasted: Sample | None) -> list[Step]:
    """What happens to it, step by step, up to the first that fails."""
    receiver, now = RECEIVERS[source.kind], platform.clock()
    valid = await platform.source_secrets.valid(platform.pool, source.source, now)
    sample = pasted or receiver.sample(valid[0], now)
    steps = read_through(receiver, sample, valid, now)
    if steps[-1].ok:
        steps.append(await _role(platform, source))
    return steps


def read_through(receiver: Receiver, sample: Sample, secrets: Sequence[str], now: datetime) -> list[Step]:
    """Proof, time and reading."""
    steps: list[Step] = []
    try:
        proven = receiver.verify(sample.headers, sample.body, secrets, now)
        steps.append(Step("proof", True, f"it comes from the source; it is known again by {proven.key}"))
        check_fresh(proven, receiver.window, now)
        steps.append(Step("time", True, _time(proven.sent_at)))
        steps.append(Step("reading", True, in_words(receiver.interpret(sample.headers, sample.body))))
    except UnprovenError as error:
        steps.append(Step("proof", False, str(error)))
    except StaleError as error:
        steps.append(Step("time", False, str(error)))
    except UnreadableError as error:
        steps.append(Step("reading", False, str(error)))
    return steps


def _time(sent_at: datetime | None) -> str:
    return f"sent at {sent_at.isoformat()}" if sent_at else "the source does not say when it sent it"


async def _role(platform: Platform, source: Source) -> Step:
    try:
        await speaking(platform.reader, source.source)
    except Problem as problem:
        return Step("role", False, problem.sentence())
    return Step("role", True, f"{source.account} may {ACTION}")
