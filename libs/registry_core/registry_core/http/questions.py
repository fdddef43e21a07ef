"""What every request has to ask the database, asked for all requests together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from registry_core.events import RecordedEvent
from registry_core.store import idempotency
from registry_core.store.connections import Pool
from registry_core.store.postgres import read_streams
from registry_core.together import Together

_VERSIONS = "select stream_id, version from log.streams where stream_id = any($1)"
_SEALED = """
    select e.event_id, s.log_index from log.events e join log.sealed s using (position) where e.event_id = any($1)"""


@dataclass(frozen=True, slots=True)
class Questions:
    """Each is one query for everybody who asks at the same time, and never older than the question."""

    streams: Together[str, list[RecordedEvent]]
    """Every event of a stream."""
    version: Together[str, int]
    """A stream's version; -1 for none."""
    request: Together[idempotency.Asked, idempotency.Known]
    """What was written under an Idempotency-Key."""
    claim: Together[tuple[UUID, bytes], bool]
    """Takes the key for this request; False when another request has it."""
    sealed: Together[UUID, int | None]
    """An event's log index; None until it is sealed."""

    @classmethod
    def of(cls, pool: Pool) -> "Questions":
        async def streams(names: Sequence[str]) -> Mapping[str, list[RecordedEvent]]:
            return await read_streams(pool, names)

        async def versions(names: Sequence[str]) -> Mapping[str, int]:
            found = {row["stream_id"]: row["version"] for row in await pool.fetch(_VERSIONS, names)}
            return {name: found.get(name, -1) for name in names}

        async def sealed(ids: Sequence[UUID]) -> Mapping[UUID, int | None]:
            found = {row["event_id"]: row["log_index"] for row in await pool.fetch(_SEALED, ids)}
            return {event: found.get(event) for event in ids}

        return cls(
            Together(streams),
            Together(versions),
            Together(lambda asked: idempotency.look_up(pool, asked)),
            Together(lambda claims: idempotency.claim(pool, claims)),
            Together(sealed),
        )
