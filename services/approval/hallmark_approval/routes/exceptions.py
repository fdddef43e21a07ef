"""Exceptions: asked for by one person, granted by another."""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any

from litestar import post
from pydantic import AwareDatetime, Field
from pydantic_core import to_json
from registry_core.events import Event
from registry_core.events.lifecycle import ExceptionGranted, ExceptionRequested
from registry_core.http import Caller
from registry_core.http.authorisation import IN_PATH
from registry_core.problems import conflict, forbidden, invalid, not_found
from registry_core.values import Name, Text, Value
from registry_core.version import RuleException, Version

from hallmark_approval.people import parties, requesters
from hallmark_approval.routes.lookup import registered

MAX_EXCEPTION = timedelta(days=90)
MOST_EXCEPTIONS = 32 * 1024
"""Bytes of the exceptions in force on one version."""


class RequestException(Value):
    rule: Name
    finding: Annotated[str, Field(max_length=256)] | None = None
    reason: Text
    expires_at: AwareDatetime


@post("/v1/versions/{ref:str}/exceptions", action="except:request", asset=IN_PATH)
async def request_exception(ref: str, data: RequestException, caller: Caller) -> dict[str, Any]:
    """Ask for a rule (or one finding under it) not to stand in the way of this version for a while."""
    now = caller.platform.clock()
    if not now < data.expires_at <= now + MAX_EXCEPTION:
        raise invalid("an exception ends in the future, within 90 days", "choose an earlier end", field="/expires_at")
    await registered(caller, ref)
    requested = ExceptionRequested(ref=ref, exception=caller.seed.hex, requested_by=caller.name, **data.model_dump())
    written = await caller.decide(ref, Version(), lambda _: [requested])
    return written.document(exception=requested.exception)


@post("/v1/versions/{ref:str}/exceptions/{exception:str}/grant", action="except:grant", asset=IN_PATH)
async def grant_exception(ref: str, exception: str, caller: Caller) -> dict[str, Any]:
    """A manager grants it; never a person who had a part in the version or asked for its promotion."""
    version = await registered(caller, ref)
    asked = version.exceptions.get(exception)
    if asked is None:
        raise not_found(f"exception {exception[:80]} of {ref}", "request it first: `hallmark exception request`")
    reader = caller.platform.reader
    who = replace(await parties(reader, version, await requesters(reader, version)), granted_by=())
    if did := who.parts_of(caller.account.person):
        raise forbidden(f"{caller.account.person} {' and '.join(did)}", "ask another manager to grant it")

    def decide(state: Version) -> list[Event]:
        if state.exceptions[exception].granted_by:
            return []
        _room_for_exception(state, asked)
        return [ExceptionGranted(ref=ref, exception=exception, granted_by=caller.name, person=caller.account.person)]

    return (await caller.decide(ref, Version(), decide)).document(exception=exception)


def _room_for_exception(state: Version, asked: RuleException) -> None:
    """A decision names every exception it rests on, so their texts have to fit it. Raises Problem 409."""
    held = [item for item in state.exceptions.values() if item.granted_by and not item.expired]
    if sum(len(to_json(item)) for item in (*held, asked)) > MOST_EXCEPTIONS:
        raise conflict(
            f"the exceptions of {state.ref} together take more than {MOST_EXCEPTIONS} bytes",
            "request this one with a shorter reason, or mend what the others are about",
        )


ROUTES: list[Any] = [request_exception, grant_exception]
