"""Commands that CloudEvents may carry, and which of them can be meant: pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError
from registry_core import forms
from registry_core.moments import CLOCK_TOLERANCE
from registry_core.problems import Problem

from hallmark_ingestion.domain import RegisterVersion
from hallmark_ingestion.intake.cloudevents import CloudEvent

REGISTER: Final = "io.hallmark.register-version.v1"
ACCEPTED: Final = {REGISTER: RegisterVersion}
"""CloudEvents types that pipelines may emit."""
MOST_ERRORS: Final = 20
"""That one answer lists."""


def parse(event: CloudEvent) -> RegisterVersion:
    """The command in an event, with the event's source. Raises Problem that names pointer, schema and fix."""
    model = ACCEPTED.get(event.type)
    if model is None:
        detail, fix = f"no events of type {event.type!r} are taken here", f"send one of: {', '.join(ACCEPTED)}"
        raise Problem(422, "unknown-type", detail, field=f"{event.pointer}/type", fix=fix)
    data = {**event.data, "source": event.source} if isinstance(event.data, dict) else event.data
    try:
        return model.model_validate(data)
    except ValidationError as error:
        errors = faults(error, f"{event.pointer}/data")
        raise Problem(
            422, "invalid", in_words(errors),
            field=errors[0]["field"], errors=errors, schema=f"schemas/inbound/{event.type}.json",
            fix="correct the fields named and send the event again",
        ) from error  # fmt: skip


def faults(error: ValidationError, pointer: str) -> list[dict[str, str]]:
    """The first faults, each with its JSON pointer (RFC 6901)."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[:MOST_ERRORS]
    return [
        {"field": pointer + "".join(map(_step, each["loc"])), "message": forms.in_words(each["msg"])} for each in found
    ]


def in_words(errors: Sequence[Mapping[str, str]]) -> str:
    return "; ".join(f"{each['field']}: {each['message']}" for each in errors)


def _step(place: Any) -> str:
    return "/" + str(place)[:128].replace("~", "~0").replace("/", "~1")


def occurred(event: CloudEvent, now: datetime) -> datetime:
    """When an event occurred that is received now. Raises Problem 422 for a sender whose clock is too far ahead.

    A clock a little ahead is put right: what has been received has occurred.
    """
    claimed = event.time
    if claimed is not None and claimed > now + CLOCK_TOLERANCE:
        raise Problem(
            422, "from-the-future",
            f"`time` {claimed.isoformat()} lies {claimed - now} ahead of this server's clock, {now.isoformat()}",
            fix="set the sender's clock (NTP), or leave `time` out: then it is the time of receipt",
            field=f"{event.pointer}/time",
        )  # fmt: skip
    return min(claimed or now, now)
