"""Where a CloudEvent is in an HTTP request and in a Kafka record (the specification's two protocol bindings, 1.0.2)."""

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from registry_core.problems import Problem

from hallmark_ingestion.intake.cloudevents import CloudEvent, from_attributes, from_batch, from_structured, malformed

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
MOST_BYTES: Final = 256 * 1024
"""Of a record, and so of an event on Kafka."""
_FORMATS: Final = "application/cloudevents"
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")


def from_request(headers: Iterable[tuple[bytes, bytes]], body: bytes) -> CloudEvent | list[CloudEvent | Problem]:
    """The event of a request, or its batch. Raises Problem.

    `headers`: names in lower case, values as sent.
    """
    texts = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    if (coding := texts.get("content-encoding", "identity").lower()) != "identity":
        raise Problem(
            415, "encoded-body", f"a body in content coding {coding[:64]!r} is not read here",
            fix="send it as it is", headers={"Accept-Encoding": "identity"},
        )  # fmt: skip
    content_type = texts.get("content-type", "")
    match _media_type(content_type):
        case "application/cloudevents-batch+json":
            return from_batch(body)
        case "application/cloudevents+json":
            return from_structured(body)
        case kind if kind.startswith(_FORMATS) or "ce-specversion" not in texts:
            raise _no_cloudevent(kind, "ce-specversion")
    attributes = {name[3:]: _unescaped(name[3:], value) for name, value in texts.items() if name.startswith("ce-")}
    return from_attributes({**attributes, **_content(content_type)}, body)


def from_record(headers: Mapping[str, str], value: bytes) -> CloudEvent:
    """The event of a Kafka record: structured also when nothing says what it is. Raises Problem."""
    if (size := len(value)) > MOST_BYTES:
        detail = f"{size} bytes; an event has at most {MOST_BYTES}"
        raise Problem(413, "too-large", detail, fix="upload large content as evidence and name its digest")
    texts = {name.lower(): text for name, text in headers.items()}
    content_type = texts.get("content-type", "")
    kind = _media_type(content_type)
    if kind.startswith(_FORMATS) and kind != STRUCTURED:
        raise _no_cloudevent(kind, "ce_specversion")
    if kind == STRUCTURED or "ce_specversion" not in texts:
        return from_structured(value)
    attributes = {name[3:]: text for name, text in texts.items() if name.startswith("ce_")}
    return from_attributes({**attributes, **_content(content_type)}, value)


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _content(content_type: str) -> dict[str, str]:
    return {"datacontenttype": content_type} if content_type else {}


def _unescaped(name: str, value: str) -> str:
    """HTTP binding, section 3.1.3.2: double quotes come off first, then one round of percent-decoding."""
    if quoted := _QUOTED.fullmatch(value):
        value = _ESCAPED.sub(r"\1", quoted[1])
    try:
        return unquote_to_bytes(value.encode("latin-1")).decode()
    except UnicodeDecodeError as error:
        raise malformed(f"the header ce-{name[:64]} is no percent-encoded UTF-8", f"/{name[:64]}") from error


def _no_cloudevent(kind: str, header: str) -> Problem:
    return Problem(
        415, "not-a-cloudevent", f"content type {kind[:200]!r} without header {header} is no CloudEvent read here",
        fix=f"send {STRUCTURED}, over HTTP {BATCH}, or binary mode with {header[:3]} headers",
    )  # fmt: skip
