"""Writes a pack line by line, in flat memory."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from registry_core.events.base import RecordedEvent
from registry_core.proofs.keys import public_base64
from registry_core.proofs.note import Signer
from registry_core.proofs.pack.lines import (
    BlobItem,
    CheckpointItem,
    DecisionItem,
    EndItem,
    EventItem,
    HandoverItem,
    Header,
    Item,
    end_text,
    write_line,
)


class PackWriter:
    """`stream` takes bytes; call `finish` at the end. What is written is not verified here: run `verify_pack` on it."""

    def __init__(self, stream: BinaryIO, header: Header, signer: Signer) -> None:
        if signer.name != header.origin or signer.vkey not in header.vkeys:
            raise ValueError(f"the signer {signer.name} has to carry the origin's name and stand in the header's vkeys")
        self._stream, self._kind, self._signer = stream, header.kind, signer
        self._lines, self._hash = 0, sha256()
        self._write(header)

    def add_event(self, event: RecordedEvent, proof: Sequence[bytes] | None = None) -> None:
        """The next event of the log, or with its inclusion proof against the checkpoint (kind `evidence`)."""
        if (proof is None) != (self._kind == "log"):
            raise ValueError("events of an evidence pack need an inclusion proof, events of a log export none")
        self._write(EventItem.of(event, proof))

    def add_blob(self, data: bytes, media_type: str) -> str:
        """A document by its digest, which is returned."""
        digest = f"sha256:{sha256(data).hexdigest()}"
        self._write(BlobItem(data, media_type, digest))
        return digest

    def add_checkpoint(self, note: str) -> None:
        """A signed checkpoint: before the events of an evidence pack, behind those of a log that it covers."""
        self._write(CheckpointItem(note))

    def add_handover(self, note: str) -> None:
        """Where the log's key changed: directly behind the header, the oldest first."""
        self._write(HandoverItem(note))

    def add_decision(self, envelope: Mapping[str, object], keys: Sequence[Ed25519PublicKey]) -> None:
        """A signed statement (DSSE) and the public keys of all who signed it."""
        self._write(DecisionItem(dict(envelope), tuple(map(public_base64, keys))))

    def finish(self) -> None:
        """The signed end; without it the file counts as cut off."""
        digest = self._hash.hexdigest()
        self._write(EndItem(self._lines, digest, self._signer.sign(end_text(self._lines, digest))))

    def _write(self, item: Item) -> None:
        line = write_line(self._lines + 1, item)
        self._stream.write(line)
        self._hash.update(line)
        self._lines += 1
