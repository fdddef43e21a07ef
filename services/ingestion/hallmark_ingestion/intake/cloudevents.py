"""CloudEvents 1.0 as they come in: what every binding carries, and the JSON format, single and in batches.

Pointers in problems are into the event as its JSON has it, in a batch behind the element's number, whatever the mode:
`/data/ref`, `/3/time`.
"""

import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic_core import from_json
from registry_core.moments import parse_time
from registry_core.problems import Problem
from registry_core.values import storable

MOST_IN_A_BATCH: Final = 1000
SPEC: Final = "CloudEvents 1.0.2, section 3.1"
_NAMED: Final = ("id", "source", "type")
_OPTIONAL: Final = ("subject", "dataschema")
_CONTEXT: Final = frozenset({*_NAMED, *_OPTIONAL, "specversion", "datacontenttype", "time", "traceparent"})
"""Attributes of the specification, and the one extension that Hallmark reads."""
_DATA: Final = frozenset({"data", "data_base64"})
_LONGEST, _LONGEST_NAMED = 4096, 512
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_NAME = re.compile(r"[a-z0-9]{1,64}")
_JSON_TYPE = re.compile(r"[^/]+/(json|[^/]+\+json)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CloudEvent:
    id: str
    source: str
    type: str
    data: Any
    """Decoded JSON."""
    time: datetime | None = None
    traceparent: str | None = None
    not_kept: tuple[str, ...] = ()
    """Extension attributes that no event of Hallmark has a place for."""
    pointer: str = ""
    """Where the event is in what was sent."""
    size: int = 0
    """Bytes that it came in, of a batch all of them: its data has no more."""

    def document(self) -> dict[str, Any]:
        """In the JSON format, without extensions."""
        time = {"time": self.time.isoformat()} if self.time else {}
        named = {"specversion": "1.0", "id": self.id, "source": self.source, "type": self.type}
        return {**named, **time, "data": self.data}


def from_structured(body: bytes) -> CloudEvent:
    """`application/cloudevents+json`. Raises Problem."""
    return _from_document(decoded(body), "", len(body))


def from_batch(body: bytes) -> list[CloudEvent | Problem]:
    """`application/cloudevents-batch+json`: each element, or what is wrong with it. Raises Problem for no batch."""
    documents = decoded(body)
    if not isinstance(documents, list) or len(documents) > MOST_IN_A_BATCH:
        raise malformed(f"a batch is a JSON array of at most {MOST_IN_A_BATCH} events", "")
    return [_element(document, f"/{n}", len(body)) for n, document in enumerate(documents)]


def from_attributes(attributes: Mapping[str, str], body: bytes) -> CloudEvent:
    """Binary mode: attributes without their prefix, `datacontenttype` among them, and the data. Raises Problem."""
    for name, value in attributes.items():
        if not storable(value):
            raise malformed("a text holds a NUL or half a surrogate pair", "")
        if name in _DATA:
            raise malformed(f"`{name}` is no attribute: in binary mode data is the body", f"/{name[:64]}")
    _check_json_type(attributes, "")
    return _event(attributes, decoded(body, "/data"), "", len(body))


def decoded(body: bytes, pointer: str = "") -> Any:
    """JSON in UTF-8 of finite numbers, not nested beyond 200. Raises Problem."""
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise malformed(f"this is not JSON: {error}", pointer) from error
    if b"\\u0000" in body and not storable(value):
        raise malformed("a text holds a NUL or half a surrogate pair", pointer)
    return value


def _element(document: Any, pointer: str, size: int) -> CloudEvent | Problem:
    try:
        return _from_document(document, pointer, size)
    except Problem as problem:
        named = document.get("id") if isinstance(document, dict) else None
        if isinstance(named, str):
            problem.extensions["id"] = named[:_LONGEST_NAMED]
        return problem


def _from_document(document: Any, pointer: str, size: int) -> CloudEvent:
    if not isinstance(document, dict):
        raise malformed("an event is a JSON object", pointer)
    attributes = {name: value for name, value in document.items() if value is not None and name not in _DATA}
    return _event(attributes, _data(document, pointer), pointer, size)


def _data(document: Mapping[str, Any], pointer: str) -> Any:
    """JSON format 1.0.2, section 3.1: JSON as it stands, or any bytes in Base64."""
    encoded = document.get("data_base64")
    _check_json_type(document, pointer)
    if encoded is None:
        if "data" not in document:
            raise malformed("the event has no `data`", f"{pointer}/data")
        return document["data"]
    if "data" in document:
        raise malformed("an event has `data` or `data_base64`, not both", f"{pointer}/data_base64")
    try:
        body = b64decode(encoded, validate=True)
    except (TypeError, ValueError) as error:
        raise malformed(f"`data_base64` is not Base64: {error}", f"{pointer}/data_base64") from error
    return decoded(body, f"{pointer}/data_base64")


def _check_json_type(attributes: Mapping[str, Any], pointer: str) -> None:
    kind = attributes.get("datacontenttype")
    if kind is None:
        return
    if not isinstance(kind, str) or not _JSON_TYPE.fullmatch(kind.partition(";")[0].strip()):
        raise Problem(
            415, "data-not-json", f"data of type {str(kind)[:64]!r} is not read here",
            field=f"{pointer}/datacontenttype", schema=SPEC, fix="send the data as application/json",
        )  # fmt: skip


def _event(attributes: Mapping[str, Any], data: Any, pointer: str, size: int) -> CloudEvent:
    if attributes.get("specversion") != "1.0":
        raise malformed('`specversion` has to be "1.0"', f"{pointer}/specversion")
    for name in _NAMED:
        value = attributes.get(name)
        if not isinstance(value, str) or not value or len(value) > _LONGEST_NAMED:
            raise malformed(f"`{name}` has to be a text of 1 to {_LONGEST_NAMED} characters", f"{pointer}/{name}")
    for name in _OPTIONAL:
        if name in attributes and not _is_text(attributes[name]):
            raise malformed(f"`{name}` has to be a text of 1 to {_LONGEST} characters", f"{pointer}/{name}")
    return CloudEvent(
        attributes["id"], attributes["source"], attributes["type"], data, _time(attributes.get("time"), pointer),
        _traceparent(attributes.get("traceparent")), _extensions(attributes, pointer), pointer, size,
    )  # fmt: skip


def _extensions(attributes: Mapping[str, Any], pointer: str) -> tuple[str, ...]:
    """Section 3.1: lower-case letters and digits name a text, a whole number of 32 bits or a truth value."""
    if attributes.keys() <= _CONTEXT:
        return ()
    extensions = sorted(attributes.keys() - _CONTEXT)
    for name in extensions:
        if not _NAME.fullmatch(name):
            raise malformed(f"{name[:64]!r} cannot name an attribute: lower-case letters and digits do", pointer)
        if not _is_attribute_value(attributes[name]):
            detail = f"`{name}` has to be a text of at most {_LONGEST} characters, a 32-bit integer or a Boolean"
            raise malformed(detail, f"{pointer}/{name}")
    return tuple(extensions)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST


def _is_attribute_value(value: Any) -> bool:
    match value:
        case bool():
            return True
        case int():
            return -(2**31) <= value < 2**31
        case str():
            return len(value) <= _LONGEST
    return False


def _traceparent(text: Any) -> str | None:
    return text if isinstance(text, str) and _TRACEPARENT.fullmatch(text) else None


def _time(text: Any, pointer: str) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_time(text)
    except (TypeError, ValueError) as error:
        raise malformed(f"`time` {error}; write e.g. 2026-03-01T09:30:00Z", f"{pointer}/time") from error


def malformed(detail: str, pointer: str) -> Problem:
    return Problem(400, "malformed-event", detail, field=pointer, schema=SPEC, fix="docs/pipelines.md shows the form")
