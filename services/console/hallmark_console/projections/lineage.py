"""`lineage`: what each version was made of or runs with, one row per version and dependency."""

from collections.abc import Iterable
from typing import Final

from registry_core.events.versions import DependencyChanged, MetadataAmended, VersionRegistered
from registry_core.projections import Entry, Projection, Row, types_of
from registry_core.values import Kind, Metadata, parse_ref

from hallmark_console.projections.rows import data_of, row_key

COLUMNS = """
    dependant text,
    depends_on text,
    relation text,
    uses jsonb,
    newer text"""


def keys(event: Entry) -> Iterable[str]:
    match data_of(event):
        case VersionRegistered(ref=ref, metadata=metadata) | MetadataAmended(ref=ref, metadata=metadata):
            return [row_key(ref, dependency) for dependency in metadata.dependencies]
        case DependencyChanged() as data:
            return (row_key(data.ref, data.dependency),)
        case _:
            return ()


def evolve(key: str, row: Row | None, event: Entry) -> Row | None:
    """The row of one dependency after one more event about its dependant."""
    match data_of(event):
        case VersionRegistered(ref=ref, metadata=metadata) | MetadataAmended(ref=ref, metadata=metadata):
            return {"newer": None, **(row or {}), **_edge(ref, key.removeprefix(f"{ref} "), metadata)}
        case DependencyChanged() as data:
            return {**row, "newer": data.newer} if row else None
        case _:
            return None


def _edge(ref: str, dependency: str, metadata: Metadata) -> Row:
    uses = [use.model_dump(mode="json", exclude={"ref"}) for use in metadata.datasets if use.ref == dependency]
    return {"dependant": ref, "depends_on": dependency, "relation": relation(ref, dependency), "uses": uses}


def relation(dependant: str, dependency: str) -> str:
    """What a dependency is to its dependant: its kind, and `base_model` where a model was made from a model."""
    kind = parse_ref(dependency).kind
    made_from = kind == Kind.MODEL and parse_ref(dependant).kind in (Kind.MODEL, Kind.ADAPTER)
    return "base_model" if made_from else kind


_CONCERNED: Final = (VersionRegistered, MetadataAmended, DependencyChanged)

LINEAGE = Projection(
    "lineage", 1, COLUMNS, keys, None, evolve_key=evolve,
    types=types_of(*_CONCERNED), indexes={"down": "depends_on, dependant", "up": "dependant, depends_on"},
)  # fmt: skip
