"""The evaluation report `hallmark.evaluation/v1`, media type `application/vnd.hallmark.evaluation+json`.

A closed JSON document: `format`, `suite`, `evaluated_at` (RFC 3339 with offset), `subject.digest` (the version's
checksum), `dependencies` (digests by version reference), `metrics` (numbers by name), `groups`, `tool`, `dataset`.
"""

from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import from_json
from registry_core.values import Digest, Name, Ref, storable

MEDIA_TYPES: Final = ("application/vnd.hallmark.evaluation+json", "application/json")
"""Plain JSON too: the document names its own format."""
SHOWN_ERRORS: Final = 10

Line = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Number = float | None
"""NaN, infinities and null can be read; they reach no threshold."""


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Subject(_Closed):
    digest: Digest


class Group(_Closed):
    """Measured on one group of the rows."""

    group: Annotated[dict[Line, Line], Field(min_length=1)]
    n: Annotated[int, Field(ge=0)]
    metrics: dict[Line, Number]


class Tool(_Closed):
    name: Line
    version: Line


class Dataset(_Closed):
    """What was measured on: the very file, and its rows."""

    name: Line
    digest: Digest
    n: Annotated[int, Field(ge=1)]


class Report(_Closed):
    format: Literal["hallmark.evaluation/v1"]
    suite: Name
    evaluated_at: AwareDatetime
    subject: Subject
    dependencies: Annotated[dict[Ref, Digest], Field(max_length=100)] = Field(default_factory=dict)
    metrics: Annotated[dict[Line, Number], Field(max_length=1000)]
    groups: tuple[Group, ...] = ()
    tool: Tool
    dataset: Dataset


class ReportError(ValueError):
    """A document that is no report; every flaw is named at once. `suite` is the one it claims, if that can be read."""

    def __init__(self, detail: str, suite: str | None = None) -> None:
        super().__init__(detail)
        self.suite = suite


class _Claim(BaseModel):
    suite: Name


def check_media_type(media_type: str) -> None:
    """Raises ReportError."""
    if media_type.partition(";")[0].strip().lower() not in MEDIA_TYPES:
        raise ReportError(f"media type {media_type[:100]} is not read here; attach the report as {MEDIA_TYPES[0]}")


def parse_report(data: bytes) -> Report:
    """Raises ReportError."""
    try:
        report = Report.model_validate_json(data)
    except ValidationError as error:
        raise ReportError(_flaws(error), _claimed_suite(data)) from None
    if not storable(from_json(data)):
        raise ReportError("a text holds NUL or half a character; write the report without it", report.suite)
    return report


def _flaws(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    told = [f"/{'/'.join(map(str, e['loc']))}: {e['msg']}" for e in found[:SHOWN_ERRORS]]
    more = [f"and {len(found) - SHOWN_ERRORS} more"] if len(found) > SHOWN_ERRORS else []
    return "; ".join(told + more)[:4000]


def _claimed_suite(data: bytes) -> str | None:
    try:
        return _Claim.model_validate_json(data).suite
    except ValidationError:
        return None
