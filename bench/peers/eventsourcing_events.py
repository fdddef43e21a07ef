"""A registry's events as pyeventsourcing has them, and its environment."""

import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse
from uuid import NAMESPACE_URL, uuid5

from eventsourcing.domain import Aggregate


class Happened(Aggregate.Event):  # type: ignore[misc]  # unknown here
    """What happened to a model version: its type, and its body as a document."""

    kind: str
    body: dict[str, Any]


def environment(dsn: str, **more: str) -> dict[str, str]:
    """How its documentation has an application configured."""
    url = urlparse(dsn)
    query = parse_qs(url.query)
    return {
        **os.environ, "PERSISTENCE_MODULE": "eventsourcing.postgres", "POSTGRES_DBNAME": url.path.strip("/"),
        "POSTGRES_HOST": query.get("host", [url.hostname or ""])[0],
        "POSTGRES_PORT": query.get("port", [str(url.port or 5432)])[0],
        "POSTGRES_USER": url.username or "postgres", "POSTGRES_PASSWORD": url.password or "-",
        "POSTGRES_ENABLE_DB_FUNCTIONS": "y",  # without them a batch of thousands never ends
        **more,
    }  # fmt: skip


def read(lines: Path) -> Iterator[Happened]:
    """From JSON lines [stream, version, type, body, time], each stream's in order."""
    with lines.open() as file:
        for stream, version, kind, body, at in map(json.loads, file):
            yield Happened(
                originator_id=uuid5(NAMESPACE_URL, stream), originator_version=version + 1,
                timestamp=datetime.fromisoformat(at), kind=kind, body=body,
            )  # fmt: skip
