"""One call as plain values, and the decisions about it: shared by every client, with no I/O of its own."""

import json
import random
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

from hallmark.errors import HallmarkError

Document = dict[str, Any]
Chunks = Callable[[], Iterable[bytes] | AsyncIterable[bytes]]
"""Makes the body anew for each attempt; of the kind that its client sends."""

BUSY: Final = frozenset({429, 502, 503, 504})
"""Statuses of a server, or of a proxy before it, that is just not there, or asked too often: send the call again."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 3.0
_VERIFYING: Final = 600.0
"""Seconds in which the server has put together and verified the largest file."""


def segment(text: str) -> str:
    """Text as one segment of a path."""
    return quote(text, safe="")


def version_path(ref: str, *more: str) -> str:
    """`/v1/versions/<ref>/…`; a file's name keeps its slashes."""
    return "/".join(["/v1/versions", segment(ref), *(quote(part, safe="/") for part in more)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request. Every write gets an Idempotency-Key when it is made, so that it may be sent again."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | Chunks | None = None
    patience: float | None = None
    """Seconds to wait for the answer, where it takes the server longer than usual."""


def read(path: str, **params: object) -> Call:
    """A GET; parameters that are None are left out."""
    return Call(method="GET", path=path, params=_texts(params))


def write(method: str, path: str, document: Any = None, **params: object) -> Call:
    """A write, with a JSON body if there is one. A query belongs into `params`: httpx drops one that is in the path."""
    asked = _texts(params)
    if document is None:
        return Call(method=method, path=path, params=asked, headers=_key())
    headers = {**_key(), "Content-Type": "application/json"}
    return Call(method=method, path=path, params=asked, headers=headers, content=json.dumps(document).encode())


def present(**members: Any) -> Document:
    """A document without the members that are None."""
    return {name: value for name, value in members.items() if value is not None}


def upload(method: str, path: str, content: bytes | Chunks, media_type: str, size: int, **params: object) -> Call:
    """A write of raw bytes."""
    headers = {**_key(), "Content-Type": media_type, "Content-Length": str(size)}
    return Call(method=method, path=path, params=_texts(params), headers=headers, content=content)


def rest_of(where: str, content: Chunks, offset: int, size: int) -> Call:
    """The last request of a resumable upload: a file from a byte on (draft-ietf-httpbis-resumable-upload)."""
    headers = {
        **_key(),
        "Content-Type": "application/partial-upload",
        "Content-Length": str(max(size - offset, 0)),
        "Upload-Offset": str(offset),
        "Upload-Complete": "?1",
    }
    return Call(method="PATCH", path=where, headers=headers, content=content, patience=_VERIFYING)


def pauses() -> Iterator[float]:
    """Seconds between attempts: doubling, with jitter, so that many clients do not come back at once."""
    pause = _FIRST_PAUSE
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
        pause = min(pause * 2, _LONGEST_PAUSE)


def retry_after(header: str) -> float:
    """The seconds that an answer says to wait (RFC 9110, 10.2.3); 0 where it says none, or a date."""
    text = header.strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0


def answer(body: bytes, media_type: str) -> Any:
    """The value of a successful answer: JSON parsed, anything else as text."""
    if not body:
        return {}
    if media_type.partition(";")[0].strip() != "application/json":
        return body.decode("utf-8", "replace")
    try:
        return json.loads(body)
    except ValueError as error:
        raise HallmarkError(
            "Unreadable answer", f"the server's answer is not JSON: {error}", fix="see that the URL is Hallmark's"
        ) from error


def event(lines: Iterable[str]) -> tuple[str, Document | None]:
    """Id and JSON object of one server-sent event (WHATWG HTML, section 9.2); "" and None where it has none."""
    fields = dict(line.partition(": ")[::2] for line in lines)
    row = answer(fields.get("data", "").encode(), "application/json")
    return fields.get("id", ""), row if isinstance(row, dict) and row else None


def refusal(status: int, body: bytes) -> HallmarkError:
    """The error in an RFC 9457 document, or in whatever a proxy sent instead."""
    try:
        problem = json.loads(body)
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        text = body.decode("utf-8", "replace").strip()
        detail = f"the server answered {status}: {text[:300] or 'nothing'}"
        return HallmarkError("Refused", detail, status=status, fix="see that the URL is Hallmark's")
    errors, lost = problem.get("errors"), "see that the service that answers this runs there" if status == 404 else ""
    return HallmarkError(
        str(problem.get("title", "Refused")),
        str(problem.get("detail") or f"the server answered {status}"),
        fix=str(problem.get("fix") or lost),
        field=str(problem.get("field", "")),
        status=status,
        errors=[e for e in errors if isinstance(e, dict)] if isinstance(errors, list) else (),
        problem=problem,
    )


def bad_url(url: str, why: str) -> HallmarkError:
    """The error of an address that nothing can be sent to."""
    return HallmarkError("Bad address", f"{url!r} is no usable address: {why}", fix="write e.g. http://127.0.0.1:8080")


def _key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid4())}


def _texts(params: Mapping[str, object]) -> dict[str, str]:
    return {name: _text(value) for name, value in params.items() if value is not None}


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value).lower() if isinstance(value, bool) else str(value)
