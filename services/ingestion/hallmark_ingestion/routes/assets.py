"""An asset with all its versions: which there are, how they stand, which one is to be used, who answers for it."""

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from litestar import get
from registry_core.aliases import Aliases, alias_stream
from registry_core.events import RecordedEvent
from registry_core.handlers import fold
from registry_core.http.authorisation import IN_PATH
from registry_core.http.moments import not_yet, stated
from registry_core.moments import Moment
from registry_core.problems import invalid, not_found
from registry_core.service import Platform
from registry_core.values import State, parse_asset
from registry_core.version import Version

from hallmark_ingestion.domain import precedence

_AT_ONCE: Final = 100
"""Streams per query, so that an asset of many versions does not hold up everybody else."""


@dataclass(frozen=True, slots=True)
class Member:
    """One version of the asset, with the event that registered it."""

    registered: RecordedEvent
    state: Version


@get("/v1/assets/{asset:str}", action="read", asset=IN_PATH)
async def read_asset(asset: str, platform: Platform, moment: Moment) -> dict[str, Any]:
    """All versions of an asset with their states, now or then; the newest, the newest that is approved, the aliases."""
    refs = await platform.store.streams_under(f"{checked_asset(asset)}@")
    members = [member async for member in _members(platform, refs, moment)]
    if not members:
        raise await _absent(platform, asset, refs, moment)
    aliases = {"aliases": await _aliases(platform, asset, moment)}
    return {**describe(asset, members, moment.reading(platform.clock())), **aliases, **stated(moment)}


async def _aliases(platform: Platform, asset: str, moment: Moment) -> dict[str, str]:
    stream = alias_stream(asset)
    return dict(fold(Aliases(), (await platform.store.read_streams_at([stream], moment))[stream]).targets)


async def _members(platform: Platform, refs: list[str], moment: Moment) -> AsyncIterator[Member]:
    for first in range(0, len(refs), _AT_ONCE):
        streams = await platform.store.read_streams_at(refs[first : first + _AT_ONCE], moment)
        for member in _registered(streams.values()):
            yield member


def describe(asset: str, members: list[Member], at: datetime) -> dict[str, Any]:
    """Newest first, by semantic version; `at` says which approvals are in force."""
    ordered = sorted(members, key=lambda member: precedence(member.state.ref), reverse=True)
    kind, name = parse_asset(asset)
    approved = [m.state for m in ordered if m.state.state == State.APPROVED and m.state.active_approvals(at)]
    speaking = (approved or [ordered[0].state])[0]
    return {
        "asset": asset,
        "kind": kind,
        "name": name,
        "newest": ordered[0].state.ref,
        "newest_approved": approved[0].ref if approved else None,
        "owner": speaking.metadata.owner,
        "versions": [_summary(member, at) for member in ordered],
    }


def _summary(member: Member, at: datetime) -> dict[str, Any]:
    state = member.state
    return {
        "ref": state.ref,
        "state": state.state,
        "stream_version": state.version,
        "digest": state.digest,
        "owner": state.metadata.owner,
        "risk_tier": state.metadata.risk_tier,
        "registered_by": state.registered_by,
        "registered_at": member.registered.occurred_at,
        "replacement": state.replacement,
        "approved_for": [
            {"context": item.context.model_dump(), "environment": item.environment, "expires_at": item.expires_at}
            for item in state.active_approvals(at)
        ],
    }


def _registered(streams: Iterable[list[RecordedEvent]]) -> Iterator[Member]:
    """Those whose first event counts: the others had not come to be."""
    for events in streams:
        if events and events[0].version == 0:
            yield Member(events[0], fold(Version(), events))


async def _absent(platform: Platform, asset: str, refs: list[str], moment: Moment) -> Exception:
    """No version of it, ever or then."""
    streams = await platform.store.read_streams(refs)
    begun = [events for events in streams.values() if events]
    if not begun:
        return not_found(asset, "check the name, or register a version of it: `hallmark register`")
    return not_yet(asset, moment, min(begun, key=lambda events: _began(events[0], moment)))


def _began(first: RecordedEvent, moment: Moment) -> datetime:
    return first.occurred_at if moment.as_of else first.recorded_at


def checked_asset(asset: str) -> str:
    try:
        parse_asset(asset)
    except ValueError as error:
        raise invalid(str(error), "write kind:name, e.g. model:credit-risk", field="asset") from error
    return asset


ROUTES = [read_asset]
