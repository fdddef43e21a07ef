"""Moving aliases: pure decisions over an asset's folded aliases (mission A7)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from registry_core.aliases import Aliases, Protected
from registry_core.events import Event
from registry_core.events.aliases import AliasesProtected, AliasMoved, AliasRemoved
from registry_core.problems import conflict, forbidden, invalid, not_found
from registry_core.values import AliasName, Ref, State, Text, Value, parse_ref
from registry_core.version import Version

MOST_ALIASES = 100
"""Aliases of one asset, and protected names."""


class MoveAlias(Value):
    ref: Ref
    reason: Text


class ProtectAliases(Value):
    names: tuple[AliasName, ...]
    reason: Text


@dataclass(frozen=True, slots=True)
class Alias:
    """Which alias, and who asks for it to be changed and why."""

    asset: str
    name: str
    by: str
    reason: str


def move(state: Aliases, alias: Alias, target: Version, *, protected: bool, now: datetime) -> list[Event]:
    """The alias at another version of its asset; nothing if it is there already. Raises Problem 404, 409, 422."""
    if not target.exists:
        raise not_found("this version", "register it first: `hallmark register`")
    of_asset(alias, target.ref)
    before = state.targets.get(alias.name)
    if before == target.ref:
        return []
    _check_target(alias, target, protected=protected, now=now)
    if before is None and len(state.targets) >= MOST_ALIASES:
        raise conflict(f"{alias.asset} has {MOST_ALIASES} aliases", "remove one that nobody uses")
    return [
        AliasMoved(
            asset=alias.asset, alias=alias.name, before=before, after=target.ref, reason=alias.reason, moved_by=alias.by
        )
    ]


def of_asset(alias: Alias, ref: str) -> None:
    """Raises Problem 422 for another asset's version: whether there is one is not for whoever may move this alias."""
    kind, name, _ = parse_ref(ref)
    if f"{kind}:{name}" != alias.asset:
        raise invalid(f"{ref} is no version of {alias.asset}", "name a version of this asset", field="/ref")


def _check_target(alias: Alias, target: Version, *, protected: bool, now: datetime) -> None:
    in_force = target.state == State.APPROVED and target.active_approvals(now)
    if protected and not in_force:
        raise conflict(
            f"{alias.name} is protected: it points to approved versions alone, and {target.ref} is {target.state}"
            f"{' without an approval in force' if target.state == State.APPROVED else ''}",
            f"have it approved first: `hallmark promote {target.ref}`",
            field="/ref",
        )
    if target.state == State.RETIRED:
        raise conflict(f"{target.ref} is retired", "name a version that may be used", field="/ref")


def remove(state: Aliases, alias: Alias) -> list[Event]:
    """The alias gone. Raises Problem 404."""
    if alias.name not in state.targets:
        fix = f"`hallmark alias list {alias.asset}` tells those there are"
        raise not_found(f"alias {alias.name!r} of {alias.asset}", fix)
    before = state.targets[alias.name]
    return [AliasRemoved(asset=alias.asset, alias=alias.name, before=before, reason=alias.reason, removed_by=alias.by)]


def protect(state: Protected, wanted: ProtectAliases, account: str) -> list[Event]:
    """These names protected and no others; nothing if they are. Raises Problem 422."""
    if len(set(wanted.names)) > MOST_ALIASES:
        raise invalid(f"more than {MOST_ALIASES} names", "protect what decides about use", field="/names")
    if frozenset(wanted.names) == state.names:
        return []
    before, after = tuple(sorted(state.names)), tuple(sorted(set(wanted.names)))
    return [AliasesProtected(before=before, after=after, reason=wanted.reason, decided_by=account)]


def may_move(alias: Alias, roles: Collection[str], *, protected: bool, answers_for_all: bool) -> None:
    """Raises Problem 403: a protected alias is moved by managers alone, any other also by who answers for its versions.

    That is for the version it leaves and for the one it goes to: nobody takes an alias away from another's version.
    """
    if "manager" in roles or (answers_for_all and not protected):
        return
    if protected:
        raise forbidden(f"{alias.name} is protected, and {alias.by} is no manager", "ask a manager to do it")
    raise forbidden(
        f"{alias.by} does not answer for every version that this concerns",
        "ask who registered or owns them, or a manager",
    )
