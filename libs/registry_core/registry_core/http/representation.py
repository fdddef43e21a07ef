"""Conditional and partial answers about content whose digest is known: RFC 9110, sections 13 and 14; RFC 9530.

The strong entity tag of a file is its digest: the same tag means the same bytes, for good. Pure; no I/O.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from registry_core.problems import Problem

_SPEC: Final = re.compile(r"bytes=[ \t]*(?:([0-9]+)-([0-9]*)|-([0-9]+))[ \t]*", re.IGNORECASE)
"""One range. More than one, and what is no range at all, is answered with the whole, as RFC 9110, 14.2 allows."""
_TAG: Final = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_DIGITS: Final = 19
"""Of a position that is read as a number; every longer one lies beyond any file, and Python does not read all."""


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes from `first` up to, and without, `end`."""

    first: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.first


@dataclass(frozen=True, slots=True)
class Representation:
    """A file as it is offered: its name, digest (`sha256:<hex>`) and size in bytes."""

    name: str
    digest: str
    size: int

    @property
    def etag(self) -> str:
        return f'"{self.digest}"'

    def headers(self) -> dict[str, str]:
        """Of every answer. Kept by nobody but the caller, and by them only after asking again whether they may."""
        raw = bytes.fromhex(self.digest.removeprefix("sha256:"))
        return {
            "ETag": self.etag,
            "Repr-Digest": f"sha-256=:{b64encode(raw).decode()}:",
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, no-cache",
        }

    def describing(self, span: Span | None) -> dict[str, str]:
        """Of an answer with these bytes of it; None: all of them."""
        sent = span or Span(0, self.size)
        described = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(sent.size),
            "Content-Disposition": f'attachment; filename="{self.name.rpartition("/")[2]}"',
        }
        if span:
            described["Content-Range"] = f"bytes {span.first}-{span.end - 1}/{self.size}"
        return self.headers() | described


def unchanged(representation: Representation, headers: Mapping[str, str]) -> bool:
    """Whether the caller has it already, by `If-None-Match`. Raises Problem 412 where `If-Match` names another."""
    wanted, known = headers.get("if-match"), headers.get("if-none-match")
    if wanted is not None and not _names(wanted, representation.digest, weakly=False):
        raise Problem(
            412, "other-content", f"the file is {representation.etag}, not {wanted[:200]}",
            fix="begin the download anew, without If-Match", headers=representation.headers(),
        )  # fmt: skip
    return known is not None and _names(known, representation.digest, weakly=True)


def _names(field: str, digest: str, *, weakly: bool) -> bool:
    """RFC 9110, 13.1.1 and 13.1.2: a list of tags, or `*`; If-Match compares strongly."""
    if field.strip() == "*":
        return True
    return any(tag == digest and (weakly or not weak) for weak, tag in _TAG.findall(field))


def span_asked_for(representation: Representation, headers: Mapping[str, str]) -> Span | None:
    """The part that `Range` asks for; None for the whole. Raises Problem 416 for a part that is not there.

    With `If-Range`, only as long as it names this content: a date does not. An empty file has no parts.
    """
    if "if-range" in headers and headers["if-range"].strip() != representation.etag:
        return None
    if not representation.size or not (match := _SPEC.fullmatch(headers.get("range", "").strip())):
        return None
    first, last, suffix = match.groups()
    if first and last and _position(last) < _position(first):
        return None  # invalid, not unsatisfiable: RFC 9110, 14.1.1
    span = _last_bytes(suffix, representation.size) if suffix else _between(first, last, representation.size)
    if span.size <= 0:
        raise _not_there(representation)
    return span


def _between(first: str, last: str, size: int) -> Span:
    return Span(_position(first), min(_position(last) + 1, size) if last else size)


def _last_bytes(count: str, size: int) -> Span:
    return Span(max(size - _position(count), 0), size)


def _position(digits: str) -> int:
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) <= _DIGITS else 10**_DIGITS


def _not_there(representation: Representation) -> Problem:
    size = representation.size
    return Problem(
        416, "no-such-range", f"the file has {size} bytes, and the range asked for has none of them",
        fix=f"ask for a range below {size}, or send no Range", size=size,
        headers=representation.headers() | {"Content-Range": f"bytes */{size}"},
    )  # fmt: skip
