"""Read models: when each version is next due (for the sweep), and what was served (for people)."""

from collections.abc import Iterable
from typing import Any, Final

from registry_core.events.governance import CustomerCount, ServedWindowRecorded
from registry_core.projections import Entry, Projection, Row, types_of

from hallmark_lifecycle import agenda

_CONCERNED: Final = types_of(*agenda.CONCERNED)


def _due_keys(event: Entry) -> Iterable[str]:
    return [event.stream] if event.type in _CONCERNED else []


def _due(row: Row | None, event: Entry) -> Row:
    ahead = agenda.evolve(agenda.from_row(row["agenda"]) if row else agenda.EMPTY, event.data)
    soonest = agenda.next_at(ahead)
    return {"next_at": soonest.isoformat() if soonest else None, "agenda": agenda.to_row(ahead)}


DUE: Final = Projection(
    "due", 1, "next_at timestamptz, agenda jsonb", _due_keys, _due, types=_CONCERNED, indexes={"by_time": "next_at"}
)
"""By version reference: the next time at which a sweep may have something to do, and the deadlines behind it."""


_WINDOWS: Final = types_of(ServedWindowRecorded)


def _window_keys(event: Entry) -> Iterable[str]:
    data = event.data if event.type in _WINDOWS else None
    if not isinstance(data, ServedWindowRecorded):
        return []
    parts = (data.environment, data.deployment, data.start.isoformat(), data.ref, data.state, data.approved)
    return ["/".join(map(str, (*parts, data.context)))]


def _window(row: Row | None, event: Entry) -> Row | None:
    data = event.data
    if not isinstance(data, ServedWindowRecorded):
        return None
    counted: dict[str, Any] = dict(row["customers"]) if row else {}
    for seen in data.customers:
        counted[seen.customer] = _add(counted.get(seen.customer), seen)
    return {
        "deployment": data.deployment,
        "environment": data.environment,
        "window_start": data.start.isoformat(),
        "window_end": data.end.isoformat(),
        "ref": data.ref,
        "state": data.state,
        "approved": data.approved,
        "context": data.context.model_dump() if data.context else None,
        "requests": data.requests + (row["requests"] if row else 0),
        "customers": counted,
    }


def _add(known: dict[str, Any] | None, seen: CustomerCount) -> dict[str, Any]:
    first_at, last_at = seen.first_at.isoformat(), seen.last_at.isoformat()
    if known is None:
        return {"requests": seen.requests, "first_at": first_at, "last_at": last_at}
    return {
        "requests": known["requests"] + seen.requests,
        "first_at": min(known["first_at"], first_at),
        "last_at": max(known["last_at"], last_at),
    }


SERVED: Final = Projection(
    "served_windows",
    1,
    """deployment text, environment text, window_start timestamptz, window_end timestamptz, ref text, state text,
       approved boolean, context jsonb, requests bigint, customers jsonb""",
    _window_keys,
    _window,
    types=types_of(ServedWindowRecorded),
    indexes={"by_time": "window_start"},
)
"""One row per deployment, minute, version, state and use; `ref` null is unattributed; `customers` are by pseudonym."""

DDL: Final = """
    create table if not exists work.served_inferences (id uuid primary key, at timestamptz not null);
    create index if not exists served_inferences_by_time on work.served_inferences (at);"""
