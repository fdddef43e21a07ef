"""pyeventsourcing: every event read back as its application reads it, folded to a row per stream, kept in a table."""

import json
import os
import sys
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import parse_qs, urlparse
from uuid import NAMESPACE_URL, uuid5

import psycopg  # type: ignore[import-not-found]  # it is in .bench alone
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate

FETCH = 2000


class Happened(Aggregate.Event):  # type: ignore[misc]  # unknown here
    """What happened to a model version: its type, and its body as a document."""

    kind: str
    body: dict[str, Any]


def main() -> None:
    """`{"dsn", "events": path of JSON lines [stream, version, type, body, time], "fill": bool}`."""
    told = json.loads(sys.argv[1])
    app: Application[Any] = Application(_environment(told["dsn"]))
    done = _fill(app, Path(told["events"])) if told["fill"] else _replay(app, told["dsn"])
    app.close()
    print(json.dumps(done))


def _environment(dsn: str) -> dict[str, str]:
    url = urlparse(dsn)
    socket = parse_qs(url.query).get("host", [url.hostname or ""])[0]
    return {
        **os.environ, "PERSISTENCE_MODULE": "eventsourcing.postgres", "POSTGRES_DBNAME": url.path.strip("/"),
        "POSTGRES_HOST": socket, "POSTGRES_PORT": str(url.port or parse_qs(url.query).get("port", ["5432"])[0]),
        "POSTGRES_USER": url.username or "postgres", "POSTGRES_PASSWORD": url.password or "-",
        "POSTGRES_ENABLE_DB_FUNCTIONS": "y",  # without them a batch of thousands never ends
    }  # fmt: skip


def _fill(app: Application[Any], lines: Path) -> dict[str, float]:
    batch = list[Any]()
    with lines.open() as file:
        for line in file:
            stream, version, kind, body, at = json.loads(line)
            event = Happened(
                originator_id=uuid5(NAMESPACE_URL, stream), originator_version=version + 1,
                timestamp=datetime.fromisoformat(at), kind=kind, body=body,
            )  # fmt: skip
            batch.append(app.events.mapper.to_stored_event(event))
            if len(batch) == FETCH:
                app.recorder.insert_events(batch)
                batch.clear()
    app.recorder.insert_events(batch)
    return {"filled": 1}


def _replay(app: Application[Any], dsn: str) -> dict[str, float]:
    with psycopg.connect(dsn) as connection:
        connection.execute("drop table if exists tally")
        connection.execute("create table tally (key text primary key, happened int, last text, last_at timestamptz)")
        started = perf_counter()
        rows, read = _folded(app)
        with connection.cursor().copy("copy tally from stdin") as copy:
            for row in rows.values():
                copy.write_row(row)
        connection.commit()
        return {"events": read, "seconds": perf_counter() - started}


def _folded(app: Application[Any]) -> tuple[dict[Any, tuple[Any, ...]], int]:
    rows, after, read = dict[Any, tuple[Any, ...]](), 1, 0
    while found := app.recorder.select_notifications(start=after, limit=FETCH):
        for notification in found:
            event = app.events.mapper.to_domain_event(notification)
            before = rows.get(event.originator_id)
            count = before[1] + 1 if before else 1
            rows[event.originator_id] = (str(event.originator_id), count, event.kind, event.timestamp)
        after, read = found[-1].id + 1, read + len(found)
    return rows, read


if __name__ == "__main__":
    main()
