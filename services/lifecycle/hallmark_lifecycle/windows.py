"""What was served, per deployment and minute: inference events become `ServedWindowRecorded`. Pure.

A window counts requests; responses repeat them. One minute may be recorded in several events (one per batch of
records, and at most `MAX_REQUESTS` requests in each, for an event has a limit of size): readers add them up.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from uuid import UUID

from registry_core.events import RecordedEvent, derived_id
from registry_core.events.base import NAMESPACE
from registry_core.events.governance import CustomerCount, ServedWindowRecorded
from registry_core.values import UseContext
from registry_core.version import Approval, Version

from hallmark_lifecycle.inference import Inference
from hallmark_lifecycle.manifest import namespace_of
from hallmark_lifecycle.remediation import SERVING
from hallmark_lifecycle.state import known_at

WINDOW = timedelta(minutes=1)
MAX_REQUESTS = 500

Streams = Mapping[str, Sequence[RecordedEvent]]
"""Events of the versions that the inferences name, by reference."""


def windows(
    inferences: Iterable[Inference], streams: Streams, pseudonym: Callable[[str], str]
) -> list[tuple[UUID, ServedWindowRecorded]]:
    """Windows with their event ids, which derive from the inferences in them. In time order within a deployment."""
    ordered = sorted(inferences, key=lambda i: (_place(i), i.at, i.id))
    return [
        (_event_id(part), _window(part, streams.get(part[0].ref or "", ()), pseudonym))
        for _, group in groupby(ordered, key=_place)
        for part in _parts(list(group))
    ]


def minute(at: datetime) -> datetime:
    """The window's start."""
    return at.replace(second=0, microsecond=0)


def _place(i: Inference) -> tuple[str, ...]:
    start = minute(i.at).timestamp()
    return (i.deployment, i.environment, f"{start:020.0f}", i.ref or "", i.digest or "", i.promotion or "")


def _parts(group: list[Inference]) -> Iterator[list[Inference]]:
    for first in range(0, len(group), MAX_REQUESTS):
        yield group[first : first + MAX_REQUESTS]


def _event_id(part: Sequence[Inference]) -> UUID:
    joined = "\n".join(sorted(str(inference.id) for inference in part))
    return derived_id(NAMESPACE, "served", hashlib.sha256(joined.encode()).hexdigest())


def _window(
    part: Sequence[Inference], stream: Sequence[RecordedEvent], pseudonym: Callable[[str], str]
) -> ServedWindowRecorded:
    first, last = part[0], part[-1]
    version = known_at(stream, last.at)
    known = version.exists and version.digest == first.digest
    context = _context(version, first, last.at) if known else None
    return ServedWindowRecorded(
        deployment=first.deployment,
        environment=first.environment,
        start=minute(first.at),
        end=minute(first.at) + WINDOW,
        ref=version.ref if known else None,
        state=version.state if known else None,
        context=context,
        approved=known and _approved(version, first.environment, context, last.at),
        requests=len(part),
        customers=_customers(part, pseudonym),
    )


def _context(version: Version, inference: Inference, at: datetime) -> UseContext | None:
    """The use that the deployment's promotion was for; without one, the only use approved there."""
    named = {a.context for a in version.approvals if a.promotion == inference.promotion}
    if not named and inference.promotion is None:
        named = {a.context for a in _in_force(version, inference.environment, at)}
    return named.pop() if len(named) == 1 else None


def _approved(version: Version, environment: str, context: UseContext | None, at: datetime) -> bool:
    held = [a for a in _in_force(version, environment, at) if context in (None, a.context)]
    return version.state in SERVING and bool(held)


def _in_force(version: Version, environment: str, at: datetime) -> list[Approval]:
    return [a for a in version.active_approvals(at) if environment in (a.environment, namespace_of(a.environment))]


def _customers(part: Sequence[Inference], pseudonym: Callable[[str], str]) -> tuple[CustomerCount, ...]:
    named = sorted(((pseudonym(i.customer), i.at) for i in part if i.customer), key=lambda seen: seen)
    counted = [(name, [at for _, at in seen]) for name, seen in groupby(named, key=lambda seen: seen[0])]
    return tuple(
        CustomerCount(customer=name, requests=len(times), first_at=times[0], last_at=times[-1])
        for name, times in counted
    )
