"""The same replay as pyeventsourcing does it: every event read as its type, a row per stream, kept in a table."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

from registry_core.projections import Entry, Projection, Row

from bench.filling import filled
from bench.lives import rows
from bench.place import Place, pool_of
from bench.workload import Sample, Sides, ratio_at_least, workload
from bench.workloads.replay import install, rebuilt

EVENTS = 100_000
_PEER = "bench.peers.eventsourcing_replay"


def _tally(row: Row | None, event: Entry) -> Row:
    event.data  # noqa: B018 - as its type, as the other side has it
    happened = row["happened"] + 1 if row else 1
    return {"happened": happened, "last": event.type, "last_at": event.recorded_at.isoformat()}


TALLY = Projection(
    "tally", 1, "happened integer, last text, last_at timestamptz", lambda event: (event.stream,), _tally
)


@workload("peer_replay", "events/s", ratio_at_least(5))
async def peer_replay(place: Place) -> AsyncIterator[Sides]:
    """100,000 events read as their types and folded to a row per stream in a table; pyeventsourcing doing the same."""
    source = await filled(place, EVENTS)
    async with place.database(template=source.name) as database, pool_of(database) as pool, place.database() as theirs:
        await install(database, TALLY)
        events = _written(place)
        await place.peer(_PEER, dsn=theirs.owner_dsn, events=str(events), fill=True)

        async def ours() -> Sample:
            return await rebuilt(database, pool, TALLY)

        async def reference() -> Sample:
            done = await place.peer(
                "bench.peers.eventsourcing_replay", dsn=theirs.owner_dsn, events=str(events), fill=False
            )
            if done["events"] != EVENTS:
                raise RuntimeError(f"pyeventsourcing read {done['events']} events instead of {EVENTS}")
            return Sample(done["events"] / done["seconds"])

        yield Sides(ours, reference)


def _written(place: Place) -> Path:
    """The events as JSON lines, for a process that knows nothing of Hallmark."""
    path = place.folder / "events.jsonl"
    with path.open("w") as file:
        for row in rows(EVENTS, place.seed):
            line = [row.stream, row.version, row.type, json.loads(row.body), row.occurred_at.isoformat()]
            file.write(json.dumps(line) + "\n")
    return path
