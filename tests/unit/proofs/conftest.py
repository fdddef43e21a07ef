"""A small sealed log to make packs of."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid5

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from registry_core.events.base import NAMESPACE, Event, RecordedEvent
from registry_core.proofs.envelope import leaf_bytes
from registry_core.proofs.merkle import TreeHead, leaf_hash
from registry_core.proofs.note import Signer, sign_checkpoint
from registry_core.proofs.pack import Header, PackWriter
from registry_core.proofs.tiles import plan_inclusion
from unit.proofs.signed import Streams, approved

START = datetime(2026, 11, 21, 10, tzinfo=UTC)
ORIGIN = "hallmark.example/log"


def make_event(index: int, **changes: object) -> RecordedEvent:
    body = f'{{"number":{index}}}'.encode()
    event = RecordedEvent(
        id=uuid5(NAMESPACE, str(index)),
        stream="policy:baseline",
        version=index,
        type="io.hallmark.version.registered.v1",
        body=body,
        body_sha256=sha256(body).digest(),
        actor="alice",
        occurred_at=START + timedelta(seconds=index),
        recorded_at=START + timedelta(seconds=index, microseconds=7),
        correlation_id=UUID(int=index),
        causation_id=UUID(int=index + 1) if index % 2 else None,
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" if index % 3 else None,
        log_index=index,
    )
    return replace(event, **changes, _decoded=[])


def bearing(said: Sequence[Event]) -> list[RecordedEvent]:
    """Sealed events that say these."""
    streams, made = Streams(), []
    for index, data in enumerate(said):
        body = data.encode()
        changes = {"type": data.type, "body": body, "body_sha256": sha256(body).digest(), **streams.place(data)}
        made.append(make_event(index, **changes))
    return made


@dataclass(frozen=True)
class Log:
    """Events, the log's key and the decision that the first of them lead to."""

    events: tuple[RecordedEvent, ...]
    signer: Signer
    approver: Ed25519PrivateKey
    decision: dict[str, object]

    @property
    def leaves(self) -> list[bytes]:
        return [leaf_hash(leaf_bytes(event)) for event in self.events]

    def checkpoint(self, size: int) -> str:
        return sign_checkpoint(self.signer.name, size, TreeHead().append(self.leaves[:size])[0].root, self.signer)

    def header(self, kind: str) -> Header:
        return Header(kind, "model:credit-risk@1.0.0", START, self.signer.name, (self.signer.vkey,))

    def export(self, *checkpoints: int) -> bytes:
        """A pack of the whole log, with checkpoints at these sizes and at the end."""
        stream = io.BytesIO()
        writer = PackWriter(stream, self.header("log"), self.signer)
        for index, event in enumerate(self.events):
            if index in checkpoints:
                writer.add_checkpoint(self.checkpoint(index))
            writer.add_event(event)
        writer.add_checkpoint(self.checkpoint(len(self.events)))
        writer.finish()
        return stream.getvalue()

    def evidence(self, *indexes: int, whole: bool = True) -> bytes:
        """A pack of chosen events, a blob and a decision; `whole`: and of the first four events, which it rests on."""
        stream, size = io.BytesIO(), len(self.events)
        hashes = {(0, index): leaf for index, leaf in enumerate(self.leaves)}
        writer = PackWriter(stream, self.header("evidence"), self.signer)
        writer.add_checkpoint(self.checkpoint(size))
        for index in sorted({*indexes, *(range(4) if whole else ())}):
            writer.add_event(self.events[index], plan_inclusion(index, size).compute(hashes))
        writer.add_blob(b'{"bomFormat":"CycloneDX"}', "application/vnd.cyclonedx+json")
        writer.add_decision(self.decision, [self.approver.public_key()])
        writer.finish()
        return stream.getvalue()


@pytest.fixture(scope="session")
def make_log() -> Callable[..., Log]:
    """`make_log(size, seed)`; the same seed gives the same keys."""

    def make(size: int, seed: int = 1) -> Log:
        key, approver, reviewer = (Ed25519PrivateKey.from_private_bytes(bytes([seed, n] * 16)) for n in (1, 2, 3))
        told, decision = approved(approver, reviewer)
        events = [*bearing(told), *map(make_event, range(4, size))]
        return Log(tuple(events[:size]), Signer(ORIGIN, key), approver, decision)

    return make


@pytest.fixture(scope="session")
def log(make_log: Callable[..., Log]) -> Log:
    return make_log(7)


@pytest.fixture(scope="session")
def event_of() -> Callable[..., RecordedEvent]:
    """`event_of(index, **changes)`: a sealed event."""
    return make_event
