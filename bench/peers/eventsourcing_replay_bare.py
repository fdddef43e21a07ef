"""pyeventsourcing below its projections: every event read back as its type, folded in memory, written once at the end.

Faster than what it tells its users to do, and less: no place is kept, and nothing is durable until all is.
"""

import json
import sys
from time import perf_counter
from typing import Any

import psycopg  # type: ignore[import-not-found]  # it is in .bench alone
from eventsourcing.application import Application

from bench.peers.eventsourcing_events import environment

BATCH = 2000


def main(*, dsn: str) -> dict[str, float]:
    app: Application[Any] = Application(environment(dsn))
    with psycopg.connect(dsn) as connection:
        connection.execute("drop table if exists folded")
        connection.execute("create table folded (key text primary key, happened int, last text, last_at timestamptz)")
        started = perf_counter()
        rows, read = _folded(app)
        with connection.cursor().copy("copy folded from stdin") as copy:
            for row in rows.values():
                copy.write_row(row)
        connection.commit()
        elapsed = perf_counter() - started
    app.close()
    return {"events": read, "seconds": elapsed}


def _folded(app: Application[Any]) -> tuple[dict[Any, tuple[Any, ...]], int]:
    rows, after, read = dict[Any, tuple[Any, ...]](), 1, 0
    while found := app.recorder.select_notifications(start=after, limit=BATCH):
        for notification in found:
            event = app.mapper.to_domain_event(notification)
            before = rows.get(event.originator_id)
            count = before[1] + 1 if before else 1
            rows[event.originator_id] = (str(event.originator_id), count, event.kind, event.timestamp)
        after, read = found[-1].id + 1, read + len(found)
    return rows, read


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
