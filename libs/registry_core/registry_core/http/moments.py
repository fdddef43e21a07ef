"""`?as_of=` and `?known_at=` on routes that read a state: docs/time.md."""

from datetime import datetime
from typing import Annotated, Any

from litestar.params import QueryParameter

from registry_core.events import RecordedEvent
from registry_core.moments import Moment, parse_time
from registry_core.problems import Problem, invalid, not_found
from registry_core.service import Platform

AsOf = Annotated[
    str | None,
    QueryParameter(name="as_of", description="ISO 8601 with zone: what occurred by then. Ahead of now: what runs out."),
]
KnownAt = Annotated[
    str | None,
    QueryParameter(name="known_at", description="ISO 8601 with zone, not ahead of now: what was recorded by then."),
]


def read_moment(platform: Platform, as_of: AsOf = None, known_at: KnownAt = None) -> Moment:
    """What the query asks for. Raises Problem 422."""
    moment = Moment(_time("as_of", as_of), _time("known_at", known_at))
    if moment.known_at is not None and moment.known_at > (now := platform.clock()):
        raise invalid(
            f"known_at {moment.known_at.isoformat()} lies ahead of this server's clock, {now.isoformat()}: "
            "what will be known cannot be told",
            "leave known_at out for what is known now; for what will have run out by then, ask as_of",
            field="known_at",
        )
    return moment


def _time(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError as error:
        fix = "write e.g. 2026-03-01T09:30:00Z; in an address the + of an offset is %2B"
        raise invalid(f"{name}: {error}", fix, field=name) from error


async def events_at(platform: Platform, stream: str, moment: Moment, what: str, fix: str) -> list[RecordedEvent]:
    """The stream's events that count at the moment, its first among them. Raises Problem 404 that says since when.

    `what` is the stream's subject in a sentence; `fix` helps where there never was such a stream.
    """
    events = (await platform.store.read_streams_at([stream], moment))[stream]
    if not events or events[0].version != 0:
        raise await _absent(platform, stream, moment, not_found(what, fix), what)
    return events


async def _absent(platform: Platform, stream: str, moment: Moment, unknown: Problem, what: str) -> Problem:
    whole = (await platform.store.read_streams([stream]))[stream]
    if not whole:
        return unknown
    return not_yet(what, moment, whole)


def not_yet(what: str, moment: Moment, stream: list[RecordedEvent]) -> Problem:
    """404 for the time before a stream's first event."""
    first = stream[0]
    begun: dict[str, Any] = {"first_recorded_at": first.recorded_at, "first_occurred_at": first.occurred_at}
    if moment.known_at is not None and not Moment(known_at=moment.known_at).of(stream):
        since = first.recorded_at.isoformat()
        detail = f"{what} was not known at {moment.known_at.isoformat()}; it was first recorded at {since}"
        return Problem(404, "not-yet", detail, fix=f"ask for known_at={since} or later", field="known_at", **begun)
    at, since = moment.as_of.isoformat() if moment.as_of else "then", first.occurred_at.isoformat()
    detail = f"{what} was not there as of {at}; it came to be at {since}"
    return Problem(404, "not-yet", detail, fix=f"ask for as_of={since} or later", field="as_of", **begun)


def stated(moment: Moment) -> dict[str, Any]:
    """The bounds that an answer keeps to, for the answer; none for the present."""
    return {name: at for name, at in (("as_of", moment.as_of), ("known_at", moment.known_at)) if at is not None}
