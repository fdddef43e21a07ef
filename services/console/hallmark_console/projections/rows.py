"""What every fold here needs: the typed event if it can be had, and rows that PostgreSQL can keep.

A projection sees every event there ever was, hostile ones and erased ones too, and must survive them all: an exception
in a fold would stop the view for ever.
"""

import hashlib
import json
from typing import Any, TypeGuard

from pydantic import ValidationError
from registry_core.events import Erased, Event, UnknownEventTypeError, decode
from registry_core.projections import Entry
from registry_core.values import parse_ref

KEY_LIMIT = 1000
"""Bytes of a row's key; a PostgreSQL B-tree entry holds about 2,700."""


def data_of(event: Entry) -> Event | None:
    """The typed body, storable; None when it was erased, or when this build does not know its type."""
    try:
        data = decode(event.type, _without_nul(event.body)) if _has_nul(event.body) else event.data
    except (UnknownEventTypeError, ValidationError):
        return None
    return None if isinstance(data, Erased) else data


def _has_nul(body: bytes | None) -> TypeGuard[bytes]:
    return body is not None and rb"\u0000" in body


def _without_nul(body: bytes) -> bytes:
    return json.dumps(storable(json.loads(body))).encode()


def version_of(event: Entry) -> str | None:
    """The version whose own stream holds the event, if it is such a stream."""
    try:
        parse_ref(event.stream)
    except ValueError:
        return None
    return event.stream


def row_key(*parts: str) -> str:
    """One key from several texts of any length and content."""
    plain = " ".join(parts)
    if len(plain.encode()) <= KEY_LIMIT:
        return plain
    return f"sha256:{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}"


def storable(value: Any) -> Any:
    """The same JSON value without what `jsonb` refuses: U+0000 in texts. It becomes U+FFFD, as in HTML."""
    match value:
        case str():
            return value.replace("\x00", "\ufffd")
        case dict():
            return {storable(key): storable(item) for key, item in value.items()}
        case list():
            return [storable(item) for item in value]
        case _:
            return value
