"""The lines of a pack: what each holds, how it is written, and how it is read back exactly as it was written."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast, get_args
from zlib import crc32

from registry_core.events.base import RecordedEvent
from registry_core.proofs.canonical import canonical_json, decode_base64, parse_json, take, take_count, to_base64
from registry_core.proofs.envelope import leaf_and_record_bytes, parse_record, parse_rfc3339, rfc3339

LONGEST_LINE = 32 * 1024 * 1024
"""Bytes; a blob of up to 24 MB fits."""
FORMAT = "pack/v1"
Kind = Literal["evidence", "log"]
_CRC_END = len(b'{"crc":"00000000",')


class LineError(ValueError):
    """A line that `PackWriter` would not have written."""


@dataclass(frozen=True, slots=True)
class Header:
    kind: Kind
    subject: str
    """What the pack is about, e.g. `model:credit-risk@1.0.0`, or the log's name."""
    made_at: datetime
    origin: str
    """The log's identity: first line of its checkpoints and name of its key."""
    vkeys: tuple[str, ...]
    """Keys of the log as it states them itself."""


@dataclass(frozen=True, slots=True)
class EventItem:
    event: RecordedEvent
    proof: tuple[bytes, ...] | None
    leaf: bytes
    record: bytes

    @classmethod
    def of(cls, event: RecordedEvent, proof: Sequence[bytes] | None) -> "EventItem":
        return cls(event, None if proof is None else tuple(proof), *leaf_and_record_bytes(event))


@dataclass(frozen=True, slots=True)
class BlobItem:
    data: bytes
    media_type: str
    digest: str


@dataclass(frozen=True, slots=True)
class CheckpointItem:
    note: str


@dataclass(frozen=True, slots=True)
class HandoverItem:
    note: str


@dataclass(frozen=True, slots=True)
class DecisionItem:
    envelope: dict[str, Any]
    keys: tuple[str, ...]
    """Base64 of the public keys that signed, all of them."""


@dataclass(frozen=True, slots=True)
class EndItem:
    lines: int
    sha256: str
    signature: str


Item = Header | EventItem | BlobItem | CheckpointItem | HandoverItem | DecisionItem | EndItem


def end_text(lines: int, sha256_hex: str) -> str:
    """What the end's signature line signs; never a checkpoint, whose second line is a bare number."""
    return f"hallmark {FORMAT}\nlines {lines}\nsha256 {sha256_hex}\n"


def write_line(number: int, item: Item) -> bytes:
    """The line with its newline. Raises ValueError for what no line can carry."""
    content = _content(number, item)
    line = b'{"crc":"%08x",%b\n' % (crc32(content), content)
    if len(line) > LONGEST_LINE:
        raise ValueError(f"a line of {len(line)} bytes is too long for a pack; the most is {LONGEST_LINE}")
    return line


def read_line(raw: bytes) -> tuple[int, Item]:
    """Line number as stated, and content. Raises LineError for anything but what `write_line` writes."""
    if len(raw) > LONGEST_LINE:
        raise LineError(f"it is longer than {LONGEST_LINE} bytes")
    if not raw.endswith(b"\n"):
        raise LineError("the file is cut off in the middle of it")
    content = raw[_CRC_END:-1]
    if raw[:_CRC_END] != b'{"crc":"%08x",' % crc32(content):
        raise LineError("its checksum does not match: bytes of this line were changed")
    try:
        fields = parse_json(raw)
        number, item = take_count(fields, "line"), _item(fields)
        canonical = _content(number, item) == content
    except ValueError as error:
        raise LineError(f"it cannot be read: {error}") from None
    if not canonical:
        raise LineError("it is not in canonical form, or has members of its own")
    return number, item


def _content(number: int, item: Item) -> bytes:
    """The line behind its checksum, which sorts before every other member."""
    match item:
        case EventItem():
            hashes = ",".join(f'"{to_base64(hash_)}"' for hash_ in item.proof or ())
            proof = "" if item.proof is None else f'"proof":[{hashes}],'
            return b'"item":"event","line":%d,%b"record":%b}' % (number, proof.encode(), item.record)
        case BlobItem(data, media_type, digest):  # by hand, since encoding megabytes as JSON takes longer than hashing
            about = canonical_json({"digest": digest, "item": "blob", "line": number, "media_type": media_type})
            return b'"data":"%b",%b' % (base64.b64encode(data), about[1:])
        case _:
            return canonical_json({**_fields(item), "line": number})[1:]


def _fields(item: Header | CheckpointItem | HandoverItem | DecisionItem | EndItem) -> dict[str, Any]:
    match item:
        case Header(kind, subject, made_at, origin, vkeys):
            about = {"kind": kind, "subject": subject, "made_at": rfc3339(made_at)}
            return {"hallmark": FORMAT, **about, "origin": origin, "vkeys": list(vkeys)}
        case CheckpointItem(note):
            return {"item": "checkpoint", "note": note}
        case HandoverItem(note):
            return {"item": "handover", "note": note}
        case DecisionItem(envelope, keys):
            return {"item": "decision", "envelope": envelope, "keys": list(keys)}
        case EndItem(lines, digest, signature):
            return {"item": "end", "lines": lines, "sha256": digest, "signature": signature}


def _item(fields: dict[str, Any]) -> Item:
    match fields.get("item"):
        case None:
            return _header(fields)
        case "event":
            proof = None if fields.get("proof") is None else [*map(decode_base64, _texts(fields, "proof"))]
            return EventItem.of(parse_record(take(fields, "record", dict)), proof)
        case "blob":
            data = decode_base64(take(fields, "data", str))
            return BlobItem(data, take(fields, "media_type", str), take(fields, "digest", str))
        case "checkpoint":
            return CheckpointItem(take(fields, "note", str))
        case "handover":
            return HandoverItem(take(fields, "note", str))
        case "decision":
            return DecisionItem(take(fields, "envelope", dict), _texts(fields, "keys"))
        case "end":
            return EndItem(take_count(fields, "lines"), take(fields, "sha256", str), take(fields, "signature", str))
        case other:
            raise ValueError(f"the item {other!r:.40} is not known; a newer Hallmark may have written the pack")


def _header(fields: dict[str, Any]) -> Header:
    if fields.get("hallmark") != FORMAT:
        raise ValueError(f"it is not the header of a {FORMAT}")
    kind = take(fields, "kind", str)
    if kind not in get_args(Kind):
        raise ValueError(f"the kind {kind[:40]!r} is not known")
    made_at = parse_rfc3339(take(fields, "made_at", str))
    vkeys = _texts(fields, "vkeys")
    return Header(cast(Kind, kind), take(fields, "subject", str), made_at, take(fields, "origin", str), vkeys)


def _texts(fields: dict[str, Any], name: str) -> tuple[str, ...]:
    values = take(fields, name, list)
    if any(type(value) is not str for value in values):
        raise ValueError(f"{name!r} is not a list of text")
    return tuple(values)
