"""pyeventsourcing's projection, as its documentation has it: each event read back as its type and processed alone.

`ProjectionRunner` reads batches of 500 in a thread of its own; the view's row and the place in the log are written in
one transaction for each event ("recording updates to the materialised view atomically with tracking objects").
"""

import json
import sys
from time import perf_counter
from typing import Any

import psycopg  # type: ignore[import-not-found]  # it is in .bench alone
from eventsourcing.application import Application
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL  # type: ignore[import-not-found]  # the same

from bench.peers.eventsourcing_events import Happened, environment

_TABLE = SQL("create table if not exists tally (key uuid primary key, happened int, last text, last_at timestamptz)")
_COUNT = SQL("""
    insert into tally as t values (%s, 1, %s, %s)
    on conflict (key) do update set happened = t.happened + 1, last = excluded.last, last_at = excluded.last_at""")


class Tallies(PostgresTrackingRecorder):  # type: ignore[misc]  # unknown here
    """The materialised view: a row per stream."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.sql_create_statements.append(_TABLE)

    def count(self, event: Happened, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(_COUNT, (event.originator_id, event.kind, event.timestamp), prepare=True)


class Tally(Projection[Tallies]):  # type: ignore[misc]  # unknown here
    name = "tally"

    def process_event(self, domain_event: Happened, tracking: Tracking) -> None:
        self.view.count(domain_event, tracking)


def main(*, dsn: str, seconds: float) -> dict[str, float]:
    """From nothing, for a time: how many events were projected, and how long that took."""
    with psycopg.connect(dsn) as connection:
        connection.execute("drop table if exists tally, tally_tracking")
    with ProjectionRunner(
        application_class=Application, projection_class=Tally, view_class=Tallies, env=environment(dsn)
    ) as runner:
        started = perf_counter()
        runner.run_forever(timeout=seconds)
        done, elapsed = runner.view.max_tracking_id(runner.app_name), perf_counter() - started
        runner.stop()
    return {"events": done or 0, "seconds": elapsed, **_written(dsn)}


def _written(dsn: str) -> dict[str, int]:
    """What stands in the view, to be held against what was tracked."""
    with psycopg.connect(dsn) as connection:
        tracked, happened = connection.execute(
            "select (select max(notification_id) from tally_tracking where application_name = 'Application'),"
            " (select sum(happened) from tally)"
        ).fetchone()
    return {"tracked": tracked, "in_view": happened}


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
