"""CloudEvents 1.0 as they come in: structured and binary mode, over HTTP and Kafka."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from registry_core.moments import parse_time
from registry_core.problems import Problem
from registry_core.values import storable

SPEC = "CloudEvents 1.0, section 3.1"
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class CloudEvent:
    id: str
    source: str
    type: str
    data: bytes
    """The body as JSON text."""
    time: datetime | None = None
    traceparent: str | None = None


def from_structured(body: bytes) -> CloudEvent:
    """`application/cloudevents+json`. Raises Problem."""
    return _from_document(_document(body))


def from_batch(body: bytes) -> list[CloudEvent]:
    """`application/cloudevents-batch+json`. Raises Problem that names the element."""
    documents = _json(body)
    if not isinstance(documents, list) or len(documents) > 1000:
        raise _malformed("a batch is a JSON array of at most 1000 events", "")
    return [_from_document(document, f"/{n}") for n, document in enumerate(documents)]


def from_binary(headers: Mapping[str, str], body: bytes, prefix: str) -> CloudEvent:
    """Attributes in headers (`ce-` over HTTP, `ce_` on Kafka), data in the body. Raises Problem."""
    attributes = {k.lower().removeprefix(prefix): v for k, v in headers.items() if k.lower().startswith(prefix)}
    _check_storable(attributes, "")
    if b"\\u" in body:
        _check_storable(_json(body), "")
    return _event(attributes, body, "")


def is_binary(headers: Mapping[str, str], prefix: str) -> bool:
    return f"{prefix}specversion" in {name.lower() for name in headers}


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _malformed(f"the body is not JSON: {error}", "") from error


def _document(body: bytes) -> dict[str, Any]:
    document = _json(body)
    if not isinstance(document, dict):
        raise _malformed("a structured event is a JSON object", "")
    return document


def _from_document(document: Any, pointer: str = "") -> CloudEvent:
    if not isinstance(document, dict):
        raise _malformed("an event is a JSON object", pointer)
    if "data" not in document:
        raise _malformed("the event has no `data`", f"{pointer}/data")
    _check_storable(document, pointer)
    return _event(document, json.dumps(document["data"]).encode(), pointer)


def _check_storable(value: Any, pointer: str) -> None:
    if not storable(value):
        raise _malformed("a text holds a NUL or half a surrogate pair", pointer)


def _event(attributes: Mapping[str, Any], data: bytes, pointer: str) -> CloudEvent:
    if attributes.get("specversion") != "1.0":
        raise _malformed('`specversion` has to be "1.0"', f"{pointer}/specversion")
    for name in ("id", "source", "type"):
        value = attributes.get(name)
        if not isinstance(value, str) or not value or len(value) > 512:
            raise _malformed(f"`{name}` has to be a text of 1 to 512 characters", f"{pointer}/{name}")
    trace = attributes.get("traceparent")
    return CloudEvent(
        attributes["id"], attributes["source"], attributes["type"], data, _time(attributes.get("time"), pointer),
        trace if isinstance(trace, str) and _TRACEPARENT.fullmatch(trace) else None,
    )  # fmt: skip


def _time(text: Any, pointer: str) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_time(text)
    except (TypeError, ValueError) as error:
        raise _malformed(f"`time` {error}; write e.g. 2026-03-01T09:30:00Z", f"{pointer}/time") from error


def _malformed(detail: str, pointer: str) -> Problem:
    return Problem(
        400, "malformed-event", detail, field=pointer, schema=SPEC, fix="see schemas/asyncapi.yaml for the form"
    )
