"""Fills pyeventsourcing's store, by its own event store."""

import json
import sys
from itertools import islice
from pathlib import Path
from typing import Any

from eventsourcing.application import Application

from bench.peers.eventsourcing_events import environment, read

BATCH = 2000


def main(*, dsn: str, events: str) -> dict[str, int]:
    """`events`: a file of lines as `read` takes them."""
    app: Application[Any] = Application(environment(dsn))
    happened, filled = read(Path(events)), 0
    while batch := list(islice(happened, BATCH)):
        filled += len(app.events.put(batch))
    app.close()
    return {"filled": filled}


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
