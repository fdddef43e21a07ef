"""What can go wrong, in the server's own words (RFC 9457) with what to do about it."""

from collections.abc import Mapping, Sequence
from typing import Any


class HallmarkError(Exception):
    """A refusal or failure. `fix` says how to mend it; `field` is the JSON pointer it is about.

    `errors` holds all faults of a request, each a mapping with `field` and `message`; `status` is HTTP's, 0 without
    one; `problem` is the whole document with the extensions of its type.
    """

    def __init__(
        self,
        title: str,
        detail: str,
        *,
        fix: str = "",
        field: str = "",
        status: int = 0,
        errors: Sequence[Mapping[str, Any]] = (),
        problem: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{detail}; {fix}" if fix else detail)
        self.title, self.detail, self.fix, self.field, self.status = title, detail, fix, field, status
        self.errors = tuple(errors)
        self.problem = dict(problem or {})

    def document(self) -> dict[str, Any]:
        """As RFC 9457 writes it, for machines."""
        own = {
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "field": self.field,
            "fix": self.fix,
            "errors": list(self.errors),
        }
        return {**self.problem, **{name: value for name, value in own.items() if value}}


class UnreachableError(HallmarkError):
    """No answer from the server within the time for retries; whether a write was done is unknown."""

    def __init__(self, url: str, reason: str, seconds: float, fix: str = "") -> None:
        super().__init__(
            "Unreachable",
            f"no answer from {url} within {seconds:g} s ({reason})",
            fix=fix
            or "see that the server runs (`hallmark up`, `hallmark doctor`) and that HALLMARK_URL is its address",
        )


class WaitTimeoutError(HallmarkError):
    """What was waited for has not come about in time."""

    def __init__(self, detail: str) -> None:
        super().__init__("Still waiting", detail, fix="wait longer, or look with `hallmark status`")
