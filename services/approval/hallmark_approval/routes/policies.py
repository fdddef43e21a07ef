"""The policy that decides: which is active, and making another so."""

from typing import Any

from litestar import MediaType, Request, get, put
from registry_core.events import Event, RecordedEvent
from registry_core.events.governance import PolicyActivated
from registry_core.http import Caller
from registry_core.http.authorisation import NONE
from registry_core.http.moments import events_at, stated
from registry_core.http.openapi import with_body
from registry_core.moments import Moment
from registry_core.problems import Problem, invalid, not_found
from registry_core.service import Platform
from registry_core.values import policy_stream, sha256_digest

from hallmark_approval.policy import PackError, load_pack
from hallmark_approval.process import ACTIVE_POLICY, PolicyStream


@get("/v1/policies/{name:str}", action="read", asset=NONE, media_type=MediaType.TEXT)
async def read_policy(name: str, platform: Platform, moment: Moment) -> str:
    """The active document of a policy, now or then."""
    return (await _activation(platform, name, moment))[1].document


@get("/v1/policies/{name:str}/activation", action="read", asset=NONE)
async def read_activation(name: str, platform: Platform, moment: Moment) -> dict[str, Any]:
    """Which pack is active, now or then, with its document, and who made it so when."""
    event, active = await _activation(platform, name, moment)
    return {
        **active.model_dump(),
        "occurred_at": event.occurred_at,
        "recorded_at": event.recorded_at,
        **stated(moment),
    }


async def _activation(platform: Platform, name: str, moment: Moment) -> tuple[RecordedEvent, PolicyActivated]:
    what, fix = f"policy {name[:80]}", "no such policy was ever active; activate one with `hallmark policy activate`"
    for event in reversed(await events_at(platform, policy_stream(name), moment, what, fix)):
        if isinstance(event.data, PolicyActivated):
            return event, event.data
    raise not_found(what, fix)


@put("/v1/policies/{name:str}", action="policy", operation_class=with_body("application/yaml"))
async def activate_policy(name: str, request: Request[Any, Any, Any], caller: Caller) -> dict[str, Any]:
    """Make a YAML pack the active document of this policy; every later decision names its digest."""
    raw = await request.body()
    try:
        pack = load_pack(raw)
    except PackError as error:
        problems = [item._asdict() for item in error.problems]
        raise Problem(422, "invalid-policy", str(error), fix="correct what is named", problems=problems) from error
    if pack.document.name != name or name != ACTIVE_POLICY:
        raise invalid(f"the pack is named {pack.document.name!r}; decisions are made by {ACTIVE_POLICY!r}", "rename it")
    activated = PolicyActivated(
        name=name, version=pack.document.version, digest=sha256_digest(raw), document=raw.decode(),
        activated_by=caller.name,
    )  # fmt: skip

    def decide(state: PolicyStream) -> list[Event]:
        current = state.activations[-1].digest if state.activations else None
        return [] if current == activated.digest else [activated]

    return (await caller.decide(policy_stream(name), PolicyStream(), decide)).document(digest=activated.digest)


ROUTES: list[Any] = [read_policy, read_activation, activate_policy]
