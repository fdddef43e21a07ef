"""`external_drift`: what changed in connected systems without a word, one row per difference."""

from collections.abc import Iterable

from registry_core.events.sources import ExternalDriftDetected
from registry_core.projections import Entry, Projection, Row, types_of

from hallmark_console.projections.rows import data_of
from hallmark_console.projections.sentences import describe

COLUMNS = """
    source text,
    object text,
    aspect text,
    before jsonb,
    after jsonb,
    ref text,
    sentence text,
    found_at timestamptz"""


def keys(event: Entry) -> Iterable[str]:
    return (str(event.log_index),) if isinstance(data_of(event), ExternalDriftDetected) else ()


def evolve(_row: Row | None, event: Entry) -> Row | None:
    """The row of this event."""
    data = data_of(event)
    if not isinstance(data, ExternalDriftDetected):
        return None
    found = data.difference
    return {
        "source": data.source, "object": data.object, "aspect": found.aspect, "before": found.before,
        "after": found.after, "ref": data.ref, "sentence": describe(data)[0],
        "found_at": event.recorded_at.isoformat(),
    }  # fmt: skip


EXTERNAL_DRIFT = Projection(
    "external_drift", 1, COLUMNS, keys, evolve,
    types=types_of(ExternalDriftDetected), indexes={"by_ref": "ref"},
)  # fmt: skip
