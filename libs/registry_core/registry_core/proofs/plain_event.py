"""Reads the usual event line of a log export without parsing JSON: nearly all lines of an export are of this form.

It takes exactly what `pack.lines.write_line` writes for an event without a proof whose texts are ASCII without escapes.
It may refuse any line, which is then read in full; what it accepts, reading in full accepts with the same result. So
all it does is save time. The module imports nothing of Hallmark's, so that a process that only reads starts fast.
"""

import re
from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from hashlib import sha256
from zlib import crc32

_NUMBER = rb"(?:0|[1-9][0-9]{0,14})"
_TEXT = rb'"[ !#-\[\]-~]*"'
_UUID = rb'"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"'
_TIME = rb'"([0-9]{4}-[0-9]{2}-[0-9]{2})T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z"'
_HEAD = re.compile(
    rb'\{"crc":"([0-9a-f]{8})","item":"event","line":(' + _NUMBER + rb'),"record":(\{"actor":' + _TEXT + rb")"
)
_TAIL = re.compile(
    rb'(,"body_sha256":"([0-9a-f]{64})",(?:"causation_id":' + _UUID + rb',)?"correlation_id":' + _UUID + rb',"id":'
    + _UUID + rb',"log_index":(' + _NUMBER + rb'),"occurred_at":' + _TIME + rb',"recorded_at":' + _TIME
    + rb',"stream":' + _TEXT + rb',(?:"traceparent":' + _TEXT + rb',)?"type":' + _TEXT + rb',"version":' + _NUMBER
    + rb"\})\}\n"
)  # fmt: skip
_BODY = b',"body":"'
_ERASES = b'"type":"io.hallmark.privacy.person-erased.v1"'
_CRC_END = len(b'{"crc":"00000000",')

PlainEvent = tuple[int, int, bytes | None, bytes, bytes]
"""Line number, log index, body, its SHA-256, leaf."""


@dataclass(frozen=True, slots=True)
class Run:
    """Lines that hold one event after the other, each body with its hash."""

    first_line: int
    first_index: int
    leaf_hashes: list[bytes]


def read_run(lines: Sequence[bytes], first_line: int) -> Run | None:
    """Lines from number `first_line` on, if each is in the usual form and in its place; else None. At least one.

    None, too, where a body is gone or an erasure is among them: these have to be held against each other (erasures.py).
    """
    leaf_hashes, first_index = list[bytes](), -1
    for number, raw in enumerate(lines, first_line):
        event = read_plain_event(raw)
        if event is None:
            return None
        line, index, body, body_sha256, leaf = event
        if first_index < 0:
            first_index = index
        if line != number or index != first_index + len(leaf_hashes):
            return None
        if body is None or _ERASES in raw or sha256(body).digest() != body_sha256:
            return None
        leaf_hashes.append(sha256(b"\x00" + leaf).digest())  # merkle.leaf_hash
    return Run(first_line, first_index, leaf_hashes)


def read_plain_event(raw: bytes) -> PlainEvent | None:
    """The event of a line in the usual form; None for any other line, be it right or wrong."""
    head = _HEAD.match(raw)
    if head is None:
        return None
    body, start = None, head.end()
    if raw.startswith(_BODY, start):
        stop = raw.find(b'"', start + len(_BODY))
        body = _body(raw[start + len(_BODY) : stop])
        if body is None:
            return None
        start = stop + 1
    tail = _TAIL.fullmatch(raw, start)
    if tail is None:
        return None
    crc, line, begin = head.groups()
    rest, digest, index, occurred, recorded = tail.groups()
    if int(crc, 16) != crc32(raw[_CRC_END:-1]) or not _is_day(occurred) or not _is_day(recorded):
        return None
    return int(line), int(index), body, bytes.fromhex(digest.decode()), begin + rest


def _body(encoded: bytes) -> bytes | None:
    """None for any base64 but the canonical one: encoded again it is the same (strict_mode lets `0AAE=` pass)."""
    try:
        body = a2b_base64(encoded, strict_mode=True)
    except Error:
        return None
    return body if b2a_base64(body, newline=False) == encoded else None


@lru_cache(maxsize=4096)
def _is_day(text: bytes) -> bool:
    try:
        date.fromisoformat(text.decode())
    except ValueError:
        return False
    return True
