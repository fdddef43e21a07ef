"""Takes in many events at once: one append of all, and one look at what was there, wherever something was."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from registry_core.access import asset_of
from registry_core.events import Event, NewEvent, Origin, derived_id
from registry_core.events.base import NAMESPACE
from registry_core.events.versions import VersionRegistered
from registry_core.handlers import fold
from registry_core.http.authorisation import require
from registry_core.identity import Account
from registry_core.problems import Problem
from registry_core.service import Platform
from registry_core.store import NONE, Append, Appended, Conflict, DuplicateEventError
from registry_core.store.appending import as_retries
from registry_core.store.model import MAX_BODY, EventTooLargeError
from registry_core.telemetry import APPENDED, current_traceparent
from registry_core.version import Version

from hallmark_ingestion.domain import RegisterVersion, event_key, register
from hallmark_ingestion.intake.cloudevents import CloudEvent
from hallmark_ingestion.intake.commands import occurred, parse

SAME_ID = "same-id-other-content"
_NOBODY_YET = Version()
_CERTAINLY_SMALL = 64 * 1024
"""Bytes of JSON from which no event above MAX_BODY comes: what is added is names, digests, and times of 20 bytes."""
Outcome = Mapping[str, Any] | Problem
"""What became of one event."""
Allowed = Callable[[str], None]
"""Raises Problem 403 unless whoever sent the event may register a version of this reference."""


def allowed_to(account: Account) -> Allowed:
    """By the account's roles and grants, narrowed as it was proven."""
    return lambda ref: require(account, "register", asset_of(ref))


def by_the_broker(_ref: str) -> None:
    """Whoever may write to a topic may register a version of any asset, and do nothing else."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One event's command, and what is appended if nothing speaks against it."""

    event: CloudEvent
    account: str
    command: RegisterVersion
    seed: UUID
    """From (source, id): the very same event, sent again, gives events with the very same ids."""
    append: Append

    @property
    def names(self) -> tuple[str, UUID]:
        """Who shares one of these has to wait for whoever came before."""
        return self.append.stream, self.seed


async def carry_out(
    platform: Platform, events: Sequence[CloudEvent | Problem], account: str, allowed: Allowed
) -> list[Outcome]:
    """Register what each event says, once: an outcome for each, in their order; none spoils another.

    A redelivery is recognised by (source, id); the same with other content is a conflict (CloudEvents 1.0.2, section
    3.1). Raises what passes (TRANSIENT): then send all of them again.
    """
    now, trace = platform.clock(), current_traceparent()
    asked = [_asked(event, account, allowed, now, trace) for event in events]
    settled: dict[int, Outcome] = {n: each for n, each in enumerate(asked) if isinstance(each, Problem)}
    waiting = {n: each for n, each in enumerate(asked) if isinstance(each, Asked)}
    while waiting:
        settled |= await _append(platform, _first_of_each(waiting))
        outcomes, waiting = await _look(platform, {n: each for n, each in waiting.items() if n not in settled})
        settled |= outcomes
    return [settled[n] for n in range(len(asked))]


def _asked(
    event: CloudEvent | Problem, account: str, allowed: Allowed, now: datetime, trace: str | None
) -> Asked | Problem:
    """Pure."""
    if isinstance(event, Problem):
        return event
    try:
        command, occurred_at = parse(event), occurred(event, now)
        allowed(command.ref)
        seed = derived_id(NAMESPACE, "cloudevent", event_key(event.source, event.id))
        trace = event.traceparent or trace
        origin = Origin(actor=account, occurred_at=occurred_at, correlation_id=seed, traceparent=trace)
        decided = _registered(event, command, account)
        new = [NewEvent(id=derived_id(seed, n), data=data, origin=origin) for n, data in enumerate(decided)]
        if event.size > _CERTAINLY_SMALL:
            _check_size(new)
    except Problem as problem:
        return _of(event, problem)
    return Asked(event, account, command, seed, Append(command.ref, new, NONE))


def _registered(event: CloudEvent, command: RegisterVersion, account: str) -> list[Event]:
    try:
        return register(_NOBODY_YET, command, account)
    except Problem as problem:
        raise _about_data(event, problem) from None


def _check_size(events: Sequence[NewEvent]) -> None:
    for event in events:
        if (size := len(event.data.encode())) > MAX_BODY:
            raise Problem(413, "too-large", str(EventTooLargeError(event.data.type, size)), fix="name fewer files")


def _first_of_each(waiting: Mapping[int, Asked]) -> dict[int, Asked]:
    """Those that nothing before them in the batch speaks against: the first of each version and of each id."""
    seen, first = set[str | UUID](), dict[int, Asked]()
    for n, each in waiting.items():
        if seen.isdisjoint(each.names):
            first[n] = each
        seen.update(each.names)
    return first


async def _append(platform: Platform, asked: Mapping[int, Asked]) -> dict[int, Outcome]:
    """The outcome of those for which it is clear: what was written, and what was written before."""
    results = await platform.store.append_each(*(each.append for each in asked.values()))
    outcomes = {n: _outcome(each, result) for (n, each), result in zip(asked.items(), results, strict=True)}
    APPENDED.labels(VersionRegistered.type).inc(sum(isinstance(r, Appended) and not r.duplicate for r in results))
    return {n: outcome for n, outcome in outcomes.items() if outcome is not None}


def _outcome(asked: Asked, result: Appended | Exception | Conflict | None) -> Outcome | None:
    match result:
        case Appended(duplicate=False):
            return _done(asked, "registered")
        case Appended():
            return _done(asked, "known")
        case DuplicateEventError():
            return _of(asked.event, _same_id(asked.event))
        case Exception():
            fix = "correct texts with control characters and numbers or times out of range"
            return _of(asked.event, Problem(400, "invalid", "the event holds a value that cannot be stored", fix=fix))
    return None


async def _look(platform: Platform, asked: Mapping[int, Asked]) -> tuple[dict[int, Outcome], dict[int, Asked]]:
    """The outcome of those whose version or id is there by now, and who is to try again: two questions for all."""
    if not asked:
        return {}, {}
    streams = await platform.store.read_streams(list({each.append.stream for each in asked.values()}))
    states = {stream: fold(Version(), events) for stream, events in streams.items()}
    taken = await as_retries(platform.pool, [each.append for each in asked.values()])
    settled, again, undecided = dict[int, Outcome](), dict[int, Asked](), set[str | UUID]()
    for (n, each), known in zip(asked.items(), taken, strict=True):
        state = states[each.append.stream]
        outcome = _outcome(each, known) or _decided(each, state)
        if outcome and undecided.isdisjoint(each.names):
            settled[n] = outcome
        else:
            again[n] = replace(each, append=replace(each.append, expected=state.version))
            undecided.update(each.names)
    return settled, again


def _decided(asked: Asked, state: Version) -> Outcome | None:
    """Pure. None for a version that nobody has registered yet."""
    if not state.exists:
        return None
    try:
        register(state, asked.command, asked.account)
    except Problem as problem:
        return _of(asked.event, _about_data(asked.event, problem))
    return _done(asked, "known")


def _done(asked: Asked, outcome: str) -> Outcome:
    dropped = {"not_kept": list(asked.event.not_kept)} if asked.event.not_kept else {}
    return {"id": asked.event.id, "ref": asked.command.ref, "outcome": outcome, **dropped}


def _same_id(event: CloudEvent) -> Problem:
    return Problem(
        409, SAME_ID, f"source {event.source!r} sent id {event.id!r} before, with other content",
        fix="give every event an id of its own", field=f"{event.pointer}/id",
    )  # fmt: skip


def _about_data(event: CloudEvent, problem: Problem) -> Problem:
    """A decision points into the command, which is the event's data."""
    problem.field = f"{event.pointer}/data{problem.field}"
    return problem


def _of(event: CloudEvent, problem: Problem) -> Problem:
    problem.extensions["id"] = event.id
    return problem
