"""`version_timeline`: everything that happened to a version and to its promotions, one row per event."""

import json
from collections.abc import Iterable
from typing import Any, Final

from registry_core.events import Event, event_types
from registry_core.events.aliases import AliasMoved, AliasRemoved
from registry_core.events.governance import ServedWindowRecorded
from registry_core.events.versions import DependantAdded, VersionAdded
from registry_core.projections import Entry, Projection, Row

from hallmark_console.projections.rows import data_of, version_of
from hallmark_console.projections.sentences import Sentence, describe

COLUMNS = """
    ref text,
    promotion text,
    occurred_at timestamptz,
    recorded_at timestamptz,
    actor text,
    type text,
    sentence text,
    tone text,
    details jsonb"""

_LARGE: Final = ("envelope", "facts")
"""Parts of events that stay in the log alone: signed envelopes and the input of policies."""


def keys(event: Entry) -> Iterable[str]:
    return (str(event.log_index),) if _ref(event) else ()


def evolve(_row: Row | None, event: Entry) -> Row | None:
    """The row of this event."""
    data = data_of(event)
    sentence, tone = describe(data) if data else _unreadable(event)
    return {
        "ref": _ref(event), "promotion": getattr(data, "promotion", None),
        "occurred_at": event.occurred_at.isoformat(), "recorded_at": event.recorded_at.isoformat(),
        "actor": event.actor, "type": event.type, "sentence": sentence, "tone": tone, "details": _details(data),
    }  # fmt: skip


def _ref(event: Entry) -> str | None:
    """The version that the event is about."""
    match data_of(event):
        case DependantAdded(depends_on=ref):
            return ref
        case AliasMoved(after=ref) | AliasRemoved(before=ref):
            return ref
        case VersionAdded() | ServedWindowRecorded():
            return None  # said by VersionRegistered; shown by served_windows
        case None:
            return version_of(event)
        case data:
            return getattr(data, "ref", None)


def _unreadable(event: Entry) -> Sentence:
    what = event_types().get(event.type)
    if event.body is None and what:
        return f"{what.__name__}: its content was erased", "neutral"
    return f"An event of type {event.type}, which this console does not know", "neutral"


def _details(data: Event | None) -> dict[str, Any]:
    body = json.loads(data.encode()) if data else {}
    return {name: value for name, value in body.items() if name not in _LARGE}


VERSION_TIMELINE = Projection("version_timeline", 1, COLUMNS, keys, evolve, indexes={"by_ref": "ref, log_index"})
