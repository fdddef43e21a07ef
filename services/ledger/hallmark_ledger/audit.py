"""The auditor's questions about one version, answered from its own events: who, which checks, which exceptions, whom.

Every answer carries the log indexes it rests on, so that it can be proven.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from registry_core.events import Event, RecordedEvent
from registry_core.events.evidence import (
    ArtifactScanned,
    DependenciesScanned,
    EvaluationAssessed,
    ProvenanceVerified,
    VulnerabilityFound,
)
from registry_core.events.governance import PolicyActivated
from registry_core.events.lifecycle import ExceptionExpired, ExceptionGranted, ExceptionRequested
from registry_core.events.promotions import (
    PolicyEvaluated,
    PromotionApproved,
    PromotionOpened,
    PromotionRefused,
    PromotionRejected,
    ReviewRecorded,
    ReviewRefused,
)
from registry_core.problems import not_found
from registry_core.store.connections import Pool
from registry_core.store.postgres import EVENT_COLUMNS, recorded
from registry_core.values import policy_stream, promotion_stream

_STREAMS = f"""
    select s.log_index, {EVENT_COLUMNS} from log.events e join log.sealed s using (position)
     where e.stream_id = any($1) order by s.log_index"""
_CHECKS: Final = (
    ArtifactScanned,
    DependenciesScanned,
    ProvenanceVerified,
    EvaluationAssessed,
    VulnerabilityFound,
    PolicyEvaluated,
)
_DECISIONS: Final = (PromotionApproved, PromotionRefused, PromotionRejected)
_EXCEPTIONS: Final = (ExceptionRequested, ExceptionGranted, ExceptionExpired)
_SERVED = """
    select deployment, environment, state, approved, count(*) as windows, sum(requests)::bigint as requests,
           min(window_start) as first, max(window_end) as last,
           (select count(distinct c) from views.served_windows v, jsonb_object_keys(v.customers) c
             where v.ref = $1 and v.deployment = w.deployment)::bigint as customers
      from views.served_windows w where ref = $1 group by deployment, environment, state, approved order by first"""


@dataclass(frozen=True, slots=True)
class History:
    """All that happened to one version, in log order: its own stream and its promotions'."""

    ref: str
    events: Sequence[RecordedEvent]

    def of(self, *types: type[Event]) -> list[RecordedEvent]:
        return [event for event in self.events if event.model in types]


async def read_history(pool: Pool, ref: str) -> History:
    """Raises Problem 404 for a version nobody registered."""
    own = await sealed_events(pool, [ref])
    if not own:
        raise not_found(ref, "check the reference: kind:name@version")
    opened = [event.data for event in own if event.model is PromotionOpened]
    promotions = [promotion_stream(data.promotion) for data in opened if isinstance(data, PromotionOpened)]
    return History(ref, await sealed_events(pool, [ref, *promotions]))


async def sealed_events(pool: Pool, streams: Iterable[str]) -> list[RecordedEvent]:
    """The sealed events of some streams, in log order, in one query."""
    return [recorded(row) for row in await pool.fetch(_STREAMS, list(streams))]


async def answer(pool: Pool, ref: str) -> dict[str, Any]:
    """Who approved and when, which checks ran, which exceptions held, what served whom."""
    history = await read_history(pool, ref)
    return {
        "ref": ref,
        "events": len(history.events),
        "reviews": [_fact(event) for event in history.of(ReviewRecorded, ReviewRefused)],
        "decisions": [_fact(event) for event in history.of(*_DECISIONS)],
        "checks": [_fact(event) for event in history.of(*_CHECKS)],
        "exceptions": [_fact(event) for event in history.of(*_EXCEPTIONS)],
        "served": [dict(row) for row in await pool.fetch(_SERVED, ref)],
    }


_BULKY: Final = {"envelope", "facts"}
"""In the evidence pack, not in the answer."""


def _fact(event: RecordedEvent) -> dict[str, Any]:
    return {
        "log_index": event.log_index,
        "event": event.type,
        "at": event.occurred_at,
        "actor": event.actor,
        **event.data.model_dump(mode="json", exclude=_BULKY, exclude_none=True),
    }


def policies_used(history: History) -> set[tuple[str, str]]:
    """(stream, digest) of every policy that a decision was made under."""
    found = set()
    for event in history.of(PolicyEvaluated):
        assert isinstance(event.data, PolicyEvaluated)
        found.add((policy_stream(event.data.policy.partition("@")[0]), event.data.policy_digest))
    return found


def is_used(event: RecordedEvent, used: set[tuple[str, str]]) -> bool:
    return isinstance(event.data, PolicyActivated) and (event.stream, event.data.digest) in used


def reviewers(history: History) -> set[str]:
    """Accounts whose reviews were recorded."""
    return {event.data.reviewer for event in history.of(ReviewRecorded) if isinstance(event.data, ReviewRecorded)}
