"""A projection of one row a stream rebuilt, by Hallmark and by pyeventsourcing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from registry_core.projections import Entry, Projection, Row

from bench.filling import filled
from bench.lives import rows
from bench.place import Database, Place, pool_of
from bench.workload import Sample, Sides, ratio_at_least, workload
from bench.workloads.peer_append import written
from bench.workloads.replay import install, rebuilt

EVENTS = 100_000
PEER_SECONDS = 10.0
"""Its projection writes one transaction for each event: over all of them it would take minutes in each round."""


def _tally(row: Row | None, event: Entry) -> Row:
    event.data  # noqa: B018 - as its type, as the other side has it
    happened = row["happened"] + 1 if row else 1
    return {"happened": happened, "last": event.type, "last_at": event.recorded_at.isoformat()}


TALLY = Projection(
    "tally", 1, "happened integer, last text, last_at timestamptz", lambda event: (event.stream,), _tally
)


@workload("peer_replay", "events/s", ratio_at_least(5))
async def peer_replay(place: Place) -> AsyncIterator[Sides]:
    """100,000 typed events to a row per stream, its place kept; pyeventsourcing's ProjectionRunner for ten seconds."""
    async with _beside_eventsourcing(place, "bench.peers.eventsourcing_replay", seconds=PEER_SECONDS) as sides:
        yield sides


@workload("peer_replay_bare", "events/s")
async def peer_replay_bare(place: Place) -> AsyncIterator[Sides]:
    """The same; pyeventsourcing's events folded in a dictionary that is written once at the end, no place kept."""
    async with _beside_eventsourcing(place, "bench.peers.eventsourcing_replay_bare") as sides:
        yield sides


@asynccontextmanager
async def _beside_eventsourcing(place: Place, peer: str, **arguments: float) -> AsyncIterator[Sides]:
    source = await filled(place, EVENTS)
    async with place.database(template=source.name) as database, pool_of(database) as pool, place.database() as theirs:
        await install(database, TALLY)
        await _fill(place, theirs)

        async def ours() -> Sample:
            return await rebuilt(database, pool, TALLY)

        async def reference() -> Sample:
            done = await place.peer(peer, dsn=theirs.owner_dsn, **arguments)
            _check(done, whole=not arguments)
            return Sample(done["events"] / done["seconds"])

        yield Sides(ours, reference)


async def _fill(place: Place, theirs: Database) -> None:
    events = written(place, rows(EVENTS, place.seed))
    done = await place.peer("bench.peers.eventsourcing_fill", dsn=theirs.owner_dsn, events=str(events))
    _expect(done["filled"], EVENTS, "took")


def _check(done: dict[str, Any], *, whole: bool) -> None:
    """Raises RuntimeError when the reference did not do what it is said to have done."""
    if whole:
        _expect(done["events"], EVENTS, "read")
    else:
        _expect(done["in_view"], done["tracked"], "has in its view")


def _expect(found: int, wanted: int, what: str) -> None:
    if found != wanted:
        raise RuntimeError(f"pyeventsourcing {what} {found} events instead of {wanted}")
