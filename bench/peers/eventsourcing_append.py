"""pyeventsourcing's event store: as many threads as there are writers, one event each, versions checked.

As its documentation has it, `EventStore.put([event])` of an application: the event is encoded by the mapper and its
JSON transcoder, and recorded. `bare` is below that, and below what Hallmark does: its recorder alone, events encoded
before the clock starts. Both with its database functions on and a connection for each writer.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

from eventsourcing.application import Application

from bench.peers.eventsourcing_events import Happened, environment, read

Put = Callable[[Sequence[Any]], object]


def main(*, dsn: str, writers: int, seconds: float, events: str, bare: bool) -> dict[str, Any]:
    """`events`: a file of lines as `read` takes them."""
    app: Application[Any] = Application(environment(dsn, POSTGRES_POOL_SIZE=str(writers)))
    put: Put = app.recorder.insert_events if bare else app.events.put
    dealt: list[list[Any]] = _deal(read(Path(events)), writers)
    if bare:
        dealt = [list(map(app.mapper.to_stored_event, own)) for own in dealt]
    with ThreadPoolExecutor(writers) as pool:
        started = perf_counter()
        timed = list(pool.map(lambda own: list(_latencies(put, own, started + seconds)), dealt))
        elapsed = perf_counter() - started
    latencies = [latency for each in timed for latency in each]
    app.close()
    return {"per_second": len(latencies) / elapsed, "latencies": latencies}


def _deal(events: Iterator[Happened], writers: int) -> list[list[Happened]]:
    """Each stream to one writer."""
    dealt: list[list[Happened]] = [[] for _ in range(writers)]
    homes: dict[object, int] = {}
    for event in events:
        dealt[homes.setdefault(event.originator_id, len(homes) % writers)].append(event)
    return dealt


def _latencies(put: Put, events: Sequence[Any], until: float) -> Iterator[float]:
    for event in events:
        before = perf_counter()
        if before >= until:
            return
        put([event])
        yield (perf_counter() - before) * 1000


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
