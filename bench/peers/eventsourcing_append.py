"""pyeventsourcing's PostgreSQL recorder: as many threads as there are writers, one event each, versions checked.

It is used below its aggregates and mappers, where it is fastest: stored events ready made, text ids, its database
functions switched on, one connection per writer.
"""

import json
import sys
from base64 import b64decode
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore


def main(*, host: str, port: str, dbname: str, user: str, writers: int, seconds: float, events: str) -> dict[str, Any]:
    """`events`: a file of JSON lines [stream, version, type, base64 body], each stream's in order."""
    store = PostgresDatastore(
        dbname, host, port, user, "", pool_size=writers, originator_id_type="text", enable_db_functions=True
    )
    recorder = PostgresApplicationRecorder(store)
    recorder.create_table()
    dealt = _deal(Path(events), writers)
    with ThreadPoolExecutor(writers) as pool:
        until = perf_counter() + seconds
        started = perf_counter()
        timed = list(pool.map(lambda own: _write(recorder, own, until), dealt))
        elapsed = perf_counter() - started
    latencies = [latency for each in timed for latency in each]
    store.close()
    return {"per_second": len(latencies) / elapsed, "latencies": latencies}


def _deal(path: Path, writers: int) -> list[list[StoredEvent]]:
    """Each stream to one writer."""
    dealt: list[list[StoredEvent]] = [[] for _ in range(writers)]
    homes: dict[str, int] = {}
    for stream, version, event_type, body in map(json.loads, path.read_text().splitlines()):
        home = homes.setdefault(stream, len(homes) % writers)
        dealt[home].append(StoredEvent(stream, version, event_type, b64decode(body)))
    return dealt


def _write(recorder: PostgresApplicationRecorder, events: Sequence[StoredEvent], until: float) -> list[float]:
    return list(_latencies(recorder, events, until))


def _latencies(recorder: PostgresApplicationRecorder, events: Sequence[StoredEvent], until: float) -> Iterator[float]:
    for event in events:
        before = perf_counter()
        if before >= until:
            return
        recorder.insert_events([event])
        yield (perf_counter() - before) * 1000


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
