"""The golden log: at least one event of every type version ever written, in the records of a log export.

`tests/golden/log.jsonl` only grows. Each line of `tests/golden/checkpoints` holds a size and the Merkle root of the log
up to there, so a line that is changed, dropped or moved fails the tests. After adding a type or a version of one:

    python tests/golden_log.py <stream> <type> '<body as JSON>'
"""

import json
import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

from registry_core.events import RecordedEvent, derived_id
from registry_core.events.base import NAMESPACE
from registry_core.proofs.canonical import canonical_json
from registry_core.proofs.envelope import from_record, leaf_bytes, to_record
from registry_core.proofs.merkle import TreeHead, leaf_hash

FOLDER: Final = Path(__file__).parent / "golden"
LOG, CHECKPOINTS = FOLDER / "log.jsonl", FOLDER / "checkpoints"
BEGIN: Final = datetime(2026, 11, 28, 12, tzinfo=UTC)


def golden_events() -> list[RecordedEvent]:
    """Every event of the golden log, in order."""
    return [from_record(json.loads(line)) for line in LOG.read_text().splitlines()]


def checkpoints() -> dict[int, str]:
    """Root (hex) by size."""
    pairs = (line.split() for line in CHECKPOINTS.read_text().splitlines())
    return {int(size): root for size, root in pairs}


def root_of(events: list[RecordedEvent]) -> str:
    """Hex of the RFC 6962 root over these events."""
    head, _ = TreeHead().append([leaf_hash(leaf_bytes(event)) for event in events])
    return head.root.hex()


def add(*entries: tuple[str, str, bytes]) -> None:
    """Append events, given as stream, type and body, and the checkpoint that covers them."""
    events = golden_events()
    for stream, event_type, body in entries:
        version = sum(event.stream == stream for event in events)
        events.append(_next(len(events), stream, version, event_type, body))
    LOG.write_bytes(b"".join(canonical_json(to_record(event)) + b"\n" for event in events))
    with CHECKPOINTS.open("a") as file:
        file.write(f"{len(events)} {root_of(events)}\n")


def _next(index: int, stream: str, version: int, event_type: str, body: bytes) -> RecordedEvent:
    at, made = BEGIN + timedelta(minutes=index), derived_id(NAMESPACE, "golden", index)
    return RecordedEvent(
        id=made, stream=stream, version=version, type=event_type, body=body, body_sha256=sha256(body).digest(),
        actor="golden", occurred_at=at, recorded_at=at, correlation_id=made, log_index=index,
    )  # fmt: skip


if __name__ == "__main__":
    add((sys.argv[1], sys.argv[2], sys.argv[3].encode()))
