"""Aliases of an asset: where they point, how they came there, and moving them."""

from collections.abc import Callable
from typing import Annotated, Any

from litestar import delete, get, put
from litestar.params import QueryParameter
from registry_core.aliases import PROTECTED_STREAM, Aliases, Protected, alias_stream
from registry_core.events import Event, RecordedEvent
from registry_core.events.aliases import AliasMoved, AliasRemoved
from registry_core.handlers import fold, load
from registry_core.http import Caller
from registry_core.http.authorisation import IN_PATH, NONE
from registry_core.http.moments import stated
from registry_core.moments import Moment
from registry_core.problems import conflict, invalid, not_found
from registry_core.service import Platform
from registry_core.values import LONGEST_REASON, checked_alias
from registry_core.version import Version

from hallmark_ingestion.aliases import Alias, MoveAlias, ProtectAliases, may_move, move, of_asset, protect, remove
from hallmark_ingestion.routes.assets import checked_asset
from hallmark_ingestion.routes.versions import answers_for

Reason = Annotated[str, QueryParameter(name="reason", min_length=1, max_length=LONGEST_REASON)]


def _checked(alias: str) -> str:
    try:
        return checked_alias(alias)
    except ValueError as error:
        raise invalid(str(error), "write e.g. champion", field="alias") from error


@get("/v1/assets/{asset:str}/aliases", action="read", asset=IN_PATH)
async def list_aliases(asset: str, platform: Platform, moment: Moment) -> dict[str, Any]:
    """Every alias of the asset with its version and that one's state, now or then."""
    stream, protected = await _read(platform, checked_asset(asset), moment)
    aliases = fold(Aliases(), stream)
    versions = await _versions(platform, aliases, moment)
    listed = [
        {"alias": name, "ref": ref, "state": versions[ref].state, "protected": name in protected.names}
        for name, ref in sorted(aliases.targets.items())
    ]
    return {"asset": asset, "aliases": listed, "stream_version": aliases.version, **stated(moment)}


async def _read(platform: Platform, asset: str, moment: Moment) -> tuple[list[RecordedEvent], Protected]:
    names = [alias_stream(asset), PROTECTED_STREAM]
    streams = await platform.store.read_streams_at(names, moment)
    return streams[names[0]], fold(Protected(), streams[PROTECTED_STREAM])


async def _versions(platform: Platform, aliases: Aliases, moment: Moment) -> dict[str, Version]:
    refs = sorted(set(aliases.targets.values()))
    found = await platform.store.read_streams_at(refs, moment) if refs else {}
    return {ref: fold(Version(), found[ref]) for ref in refs}


@get("/v1/assets/{asset:str}/aliases/{alias:str}", action="read", asset=IN_PATH)
async def read_alias(asset: str, alias: str, platform: Platform, moment: Moment) -> dict[str, Any]:
    """Where the alias points, now or then (`ref` null: nowhere any more), and every move with before and after."""
    stream, protected = await _read(platform, checked_asset(asset), moment)
    name, aliases = _checked(alias), fold(Aliases(), stream)
    history = [_told(event) for event in stream if getattr(event.data, "alias", None) == name]
    if not history:
        raise not_found(f"alias {name!r} of {asset}", f"`hallmark alias list {asset}` tells those there are")
    return {
        "asset": asset, "alias": name, "ref": aliases.targets.get(name), "protected": name in protected.names,
        "stream_version": aliases.version, "history": history, **stated(moment),
    }  # fmt: skip


def _told(event: RecordedEvent) -> dict[str, Any]:
    data = event.data
    assert isinstance(data, AliasMoved | AliasRemoved)
    after = data.after if isinstance(data, AliasMoved) else None
    return {
        "before": data.before, "after": after, "reason": data.reason, "by": event.actor,
        "occurred_at": event.occurred_at, "recorded_at": event.recorded_at,
    }  # fmt: skip


@put("/v1/assets/{asset:str}/aliases/{alias:str}", action="amend", asset=IN_PATH)
async def move_alias(asset: str, alias: str, data: MoveAlias, caller: Caller) -> dict[str, Any]:
    """Have the alias point to this version. `If-Match` takes the `stream_version` of the asset's aliases."""
    wanted = Alias(checked_asset(asset), _checked(alias), caller.name, data.reason)
    of_asset(wanted, data.ref)
    target = await load(caller.platform.reader, Version(), data.ref)
    now = caller.platform.clock()

    return await _change(
        caller, wanted, lambda state, protected: move(state, wanted, target, protected=protected, now=now), [target]
    )


@delete("/v1/assets/{asset:str}/aliases/{alias:str}", action="amend", asset=IN_PATH, status_code=200)
async def remove_alias(asset: str, alias: str, caller: Caller, reason: Reason) -> dict[str, Any]:
    """Have the alias point to nothing; its history stays."""
    wanted = Alias(checked_asset(asset), _checked(alias), caller.name, reason)
    return await _change(caller, wanted, lambda state, _protected: remove(state, wanted), [])


Decision = Callable[[Aliases, bool], list[Event]]
"""From the aliases as they are, and whether the one concerned is protected."""


async def _change(caller: Caller, wanted: Alias, decision: Decision, concerned: list[Version]) -> dict[str, Any]:
    """Decide for a caller who may: judged by the version that the alias leaves, and by those concerned."""
    reader, stream = caller.platform.reader, alias_stream(wanted.asset)
    protected = wanted.name in (await load(reader, Protected(), PROTECTED_STREAM)).names
    leaves = (await load(reader, Aliases(), stream)).targets.get(wanted.name)
    versions = [*concerned, await load(reader, Version(), leaves)] if leaves else concerned
    answers = all([await answers_for(caller, version) for version in versions if version.exists])

    def decide(state: Aliases) -> list[Event]:
        if state.targets.get(wanted.name) != leaves:
            raise conflict(f"{wanted.name} was moved by somebody else just now", "look where it points, and try again")
        may_move(wanted, caller.account.roles_on(wanted.asset), protected=protected, answers_for_all=answers)
        return decision(state, protected)

    written = await caller.decide(stream, Aliases(), decide)
    return written.document(asset=wanted.asset, alias=wanted.name)


@get("/v1/protected-aliases", action="read", asset=NONE)
async def read_protected(platform: Platform, moment: Moment) -> dict[str, Any]:
    """The aliases that managers alone move, now or then."""
    events = (await platform.store.read_streams_at([PROTECTED_STREAM], moment))[PROTECTED_STREAM]
    protected = fold(Protected(), events)
    return {"names": sorted(protected.names), "stream_version": protected.version, **stated(moment)}


@put("/v1/protected-aliases", action="policy")
async def set_protected(data: ProtectAliases, caller: Caller) -> dict[str, Any]:
    """Say which aliases those are, for every asset."""
    written = await caller.decide(PROTECTED_STREAM, Protected(), lambda state: protect(state, data, caller.name))
    return written.document(names=sorted(set(data.names)))


ROUTES = [list_aliases, read_alias, move_alias, remove_alias, read_protected, set_protected]
