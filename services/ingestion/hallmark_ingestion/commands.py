"""Commands that may come over HTTP or in a CloudEvent, carried out the same way."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from registry_core.events import NewEvent, Origin, derived_id
from registry_core.events.base import NAMESPACE
from registry_core.handlers import load
from registry_core.moments import CLOCK_TOLERANCE
from registry_core.problems import Problem
from registry_core.service import Platform
from registry_core.store import Append, Conflict, DuplicateEventError
from registry_core.telemetry import current_traceparent
from registry_core.version import Version

from hallmark_ingestion.cloudevents import CloudEvent
from hallmark_ingestion.domain import RegisterVersion, event_key, register

REGISTER = "io.hallmark.register-version.v1"
ACCEPTED = {REGISTER: RegisterVersion}
"""CloudEvents types that pipelines may emit."""


def parse(event: CloudEvent) -> RegisterVersion:
    """The command in an event. Raises Problem that names pointer, schema and fix."""
    model = ACCEPTED.get(event.type)
    if model is None:
        detail, fix = f"no events of type {event.type!r} are taken here", f"send one of: {', '.join(ACCEPTED)}"
        raise Problem(422, "unknown-type", detail, field="/type", fix=fix)
    try:
        return model.model_validate_json(event.data)
    except ValidationError as error:
        raise Problem(
            422, "invalid", describe(error), field=pointer(error), schema=f"schemas/inbound/{event.type}.json",
            fix="correct the fields named and send the event again with a new id",
        ) from error  # fmt: skip


def describe(error: ValidationError) -> str:
    """Every fault with its JSON pointer, in one line."""
    return "; ".join(f"/{'/'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:20])


def pointer(error: ValidationError) -> str:
    return "/" + "/".join(map(str, error.errors()[0]["loc"]))


def occurred(claimed: datetime | None, now: datetime) -> datetime:
    """When an event occurred that is received now. Raises Problem 422 for a sender whose clock is too far ahead.

    A clock a little ahead is put right: what has been received has occurred.
    """
    if claimed is not None and claimed > now + CLOCK_TOLERANCE:
        raise Problem(
            422, "from-the-future",
            f"`time` {claimed.isoformat()} lies {claimed - now} ahead of this server's clock, {now.isoformat()}",
            fix="set the sender's clock (NTP), or leave `time` out: then it is the time of receipt", field="/time",
        )  # fmt: skip
    return min(claimed or now, now)


async def carry_out(platform: Platform, event: CloudEvent, account: str) -> Mapping[str, Any]:
    """Register what the event says, once: a redelivery is recognised by (source, id). Raises Problem.

    The same source and id with other content is a conflict (CloudEvents 1.0, section 3.1).
    """
    command, occurred_at = parse(event), occurred(event.time, platform.clock())
    command = command.model_copy(update={"source": event.source})
    seed = derived_id(NAMESPACE, "cloudevent", event_key(event.source, event.id))
    state = await load(platform.reader, Version(), command.ref)
    events = register(Version(), command, account) if await _mine(platform, seed) else register(state, command, account)
    if not events:
        return {"ref": command.ref, "outcome": "known"}
    origin = Origin(
        actor=account, occurred_at=occurred_at, correlation_id=seed,
        traceparent=event.traceparent or current_traceparent(),
    )  # fmt: skip
    new = [NewEvent(id=derived_id(seed, n), data=data, origin=origin) for n, data in enumerate(events)]
    try:
        (result,) = await platform.store.append(Append(command.ref, new, -1))
    except DuplicateEventError as error:
        raise Problem(
            409, "same-id-other-content", f"source {event.source!r} sent id {event.id!r} before, with other content",
            fix="give every event an id of its own", field="/id",
        ) from error  # fmt: skip
    if isinstance(result, Conflict):
        return await carry_out(platform, event, account)
    return {"ref": command.ref, "outcome": "known" if result.duplicate else "registered"}


async def _mine(platform: Platform, seed: Any) -> bool:
    return await platform.store.position(derived_id(seed, 0)) is not None
