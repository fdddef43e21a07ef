"""Errors at HTTP's edge: RFC 9457 problem documents that say how to mend what is wrong."""

from collections.abc import Mapping
from typing import Any


class Problem(Exception):  # noqa: N818 - RFC 9457's word
    """Raise it anywhere below a route; the application renders it as `application/problem+json`."""

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str,
        *,
        fix: str = "",
        field: str = "",
        headers: Mapping[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        """`headers` go with the answer, where the status demands some."""
        super().__init__(detail)
        self.status, self.slug, self.detail, self.fix, self.field = status, slug, detail, fix, field
        self.headers, self.extensions = dict(headers or {}), extensions

    def sentence(self) -> str:
        """For a person who has no document: what is wrong, and how to mend it."""
        return f"{self.detail}; {self.fix}" if self.fix else self.detail

    def reason(self) -> str:
        """For a letter that is looked at later: all of the document in one line."""
        where = f" at {self.field}" if self.field else ""
        schema = f" ({self.extensions['schema']})" if "schema" in self.extensions else ""
        return f"{self.slug}{where}: {self.detail}{schema}" + (f" — {self.fix}" if self.fix else "")

    def document(self) -> dict[str, Any]:
        """The RFC 9457 document; `fix` and `field` (a JSON pointer) are Hallmark's extensions."""
        parts = {
            "type": f"urn:hallmark:problem:{self.slug}",
            "title": self.slug.replace("-", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            "field": self.field,
            "fix": self.fix,
            **self.extensions,
        }
        return {name: value for name, value in parts.items() if value not in ("", None)}


def not_found(what: str, fix: str = "check the name, or register it first") -> Problem:
    return Problem(404, "not-found", f"{what} is not known", fix=fix)


def conflict(detail: str, fix: str, **extensions: Any) -> Problem:
    return Problem(409, "conflict", detail, fix=fix, **extensions)


def forbidden(detail: str, fix: str, **extensions: Any) -> Problem:
    return Problem(403, "forbidden", detail, fix=fix, **extensions)


def invalid(detail: str, fix: str = "", field: str = "", **extensions: Any) -> Problem:
    return Problem(422, "invalid", detail, fix=fix, field=field, **extensions)
