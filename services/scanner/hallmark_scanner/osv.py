"""Advisories in OSV 1.7 JSON (ossf.github.io/osv-schema), reduced to what gating needs."""

from datetime import datetime
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError, model_validator
from pydantic_core import from_json
from registry_core.values import storable

MAX_BYTES = 16 * 1024 * 1024
MAX_TEXT = 128
"""Characters of a version or id. Ordering a version may take time that grows with the square of its length."""
MAX_NAME = 512
MAX_STATEMENTS = 20_000
"""Affected entries, range events and listed versions of one advisory together."""

T = TypeVar("T")


class AdvisoryError(ValueError):
    """A document that is no OSV advisory: where (a JSON pointer, RFC 6901), what, and what mends it."""

    def __init__(self, pointer: str, message: str, fix: str) -> None:
        super().__init__(f"{pointer or '(document)'}: {message}. {fix}")
        self.pointer, self.message, self.fix = pointer, message, fix


def _in_utc(value: object) -> object:
    if not isinstance(value, str) or not value.endswith("Z"):
        raise ValueError("a time is RFC 3339 in UTC and ends in Z, e.g. 2026-01-21T00:00:00Z")
    return value


def _absent_if_null(value: object) -> object:
    return () if value is None else value


Time = Annotated[datetime, BeforeValidator(_in_utc)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME)]
Many = Annotated[tuple[T, ...], BeforeValidator(_absent_if_null)]


class _Osv(BaseModel):
    """OSV allows fields of one's own everywhere; unknown ones are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class RangeEvent(_Osv):
    introduced: Text | None = None
    fixed: Text | None = None
    last_affected: Text | None = None
    limit: Text | None = None

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if len(self.model_dump(exclude_none=True)) != 1:
            raise ValueError("an event has exactly one of introduced, fixed, last_affected and limit")
        return self


class Range(_Osv):
    type: str
    """SEMVER, ECOSYSTEM or GIT; any other is kept and matches as unknown."""
    repo: str | None = None
    events: tuple[RangeEvent, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not any(event.introduced for event in self.events):
            raise ValueError("a range needs an introduced event; use introduced: 0 for all earlier versions")
        if any(event.fixed for event in self.events) and any(event.last_affected for event in self.events):
            raise ValueError("a range has either fixed or last_affected events, never both")
        if self.type == "GIT" and not self.repo:
            raise ValueError("a GIT range needs repo")
        return self


class SeverityScore(_Osv):
    type: str
    score: str


class Package(_Osv):
    ecosystem: Text
    name: Name
    purl: str | None = None


class Affected(_Osv):
    package: Package | None = None
    severity: Many[SeverityScore] = ()
    ranges: Many[Range] = ()
    versions: Many[Text] = ()
    database_specific: dict[str, Any] | None = None


class Advisory(_Osv):
    id: Text
    modified: Time
    schema_version: str = "1.0.0"
    published: Time | None = None
    withdrawn: Time | None = None
    """Set once the advisory no longer counts; it is kept for history."""
    aliases: Many[Text] = ()
    summary: str = ""
    severity: Many[SeverityScore] = ()
    affected: Many[Affected] = ()
    database_specific: dict[str, Any] | None = None


def parse_advisory(raw: bytes) -> Advisory:
    """Read one advisory. Raises AdvisoryError at the first thing that is wrong."""
    if len(raw) > MAX_BYTES:
        raise AdvisoryError("", f"has {len(raw)} bytes", f"Send one advisory of at most {MAX_BYTES} bytes")
    advisory = _validated(raw)
    _check_extent(advisory)
    return advisory


def _validated(raw: bytes) -> Advisory:
    try:
        advisory = Advisory.model_validate_json(raw)
    except ValidationError as invalid:
        error = invalid.errors(include_url=False, include_input=False)[0]
    else:
        if not storable(from_json(raw)):
            raise AdvisoryError("", "has a text with NUL or half a character", "Remove it and import it again")
        return advisory
    pointer = "".join(f"/{part}" for part in error["loc"])
    raise AdvisoryError(pointer, error["msg"][:300], "Correct it as the OSV schema 1.7 says and import it again")


def _check_extent(advisory: Advisory) -> None:
    """Each statement is compared with every component that it may be about."""
    total = 0
    for index, entry in enumerate(advisory.affected):
        total += 1 + len(entry.versions) + sum(1 + len(item.events) for item in entry.ranges)
        if total > MAX_STATEMENTS:
            message = f"the advisory lists more than {MAX_STATEMENTS} ranges, events and versions up to here"
            raise AdvisoryError(
                f"/affected/{index}", message, "Give ranges in place of versions, or split the advisory"
            )
