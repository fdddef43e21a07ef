"""A delivery comes in: proven over its raw bytes, kept with its job, and only then answered.

Whoever proves nothing learns nothing: a source that does not exist, one that is disconnected and a wrong signature give
one answer after the same steps. What is kept of a refused one is written after the answer.
"""

import re
import secrets as random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from registry_core import inbox
from registry_core.inbox import Delivery, Outcome
from registry_core.service import Platform
from registry_core.sources import Source, find_source
from registry_core.telemetry import DELIVERIES

from hallmark_ingestion.sources.receivers import RECEIVERS
from hallmark_ingestion.sources.receivers.base import (
    Nothing,
    Receiver,
    StaleError,
    UnprovenError,
    UnreadableError,
    check_fresh,
)

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
NOBODY: Final = random.token_urlsafe(32)
"""What a source without secrets is compared with."""
_STAND_IN: Final = "github"
"""The receiver that is asked where there is no source."""


@dataclass(frozen=True, slots=True)
class Refused:
    """What came proved nothing (`stale` False), or too late. `delivery` is to be kept, if its source exists."""

    reason: str
    stale: bool
    delivery: Delivery | None


@dataclass(frozen=True, slots=True)
class Received:
    """A delivery as it is kept; `known` when its key came before, with the same body."""

    delivery: Delivery
    known: bool


class Receiving:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def receive(self, name: str, headers: Mapping[str, str], body: bytes) -> Received | Refused:
        """Once this has returned `Received`, the delivery is durable."""
        now = self._platform.clock()
        source = await find_source(self._platform.reader, name if NAME.fullmatch(name) else "")
        receiver = RECEIVERS[source.kind if source.connected else _STAND_IN]
        valid = await self._platform.source_secrets.valid(self._platform.pool, source.source, now)
        try:
            proven = receiver.verify(headers, body, valid or (NOBODY,), now)
            check_fresh(proven, receiver.window, now)
        except (UnprovenError, StaleError) as error:
            return self._refused(source, receiver, headers, body, error)
        outcome, reason = first_reading(receiver, headers, body)
        delivery = Delivery(
            source=source.source, kind=source.kind, key=proven.key, headers=_kept(receiver, headers), body=body,
            received_at=now, sent_at=proven.sent_at, outcome=outcome, reason=reason,
        )  # fmt: skip
        found = await inbox.accept(self._platform.pool, delivery)
        received = Received(found, found.id != delivery.id)
        DELIVERIES.labels(source.kind, "known" if received.known else found.outcome).inc()
        return received

    def _refused(
        self, source: Source, receiver: Receiver, headers: Mapping[str, str], body: bytes, error: ValueError
    ) -> Refused:
        DELIVERIES.labels(source.kind if source.connected else "unknown", "refused").inc()
        delivery = Delivery(
            source=source.source, kind=source.kind, key="", headers=_kept(receiver, headers), body=body,
            received_at=self._platform.clock(),
        )  # fmt: skip
        return Refused(str(error), isinstance(error, StaleError), delivery if source.connected else None)

    async def keep(self, refused: Refused) -> None:
        """After the answer, so that it does not tell by its time whether there is such a source."""
        if refused.delivery:
            await inbox.keep_refused(self._platform.pool, refused.delivery, refused.reason)


def first_reading(receiver: Receiver, headers: Mapping[str, str], body: bytes) -> tuple[Outcome, str]:
    """What can be said before its job runs: there is nothing to do, or it cannot be read; else it waits for that."""
    try:
        meaning = receiver.interpret(headers, body)
    except UnreadableError as error:
        return "failed", str(error)
    return ("nothing", meaning.why) if isinstance(meaning, Nothing) else ("waiting", "")


def _kept(receiver: Receiver, headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in receiver.kept if name in headers}
