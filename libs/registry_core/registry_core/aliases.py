"""Where aliases point, folded from their streams, and references by alias such as `model:risk@champion`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from registry_core.events import Event, RecordedEvent
from registry_core.events.aliases import AliasesProtected, AliasMoved, AliasRemoved
from registry_core.handlers import fold
from registry_core.moments import Moment
from registry_core.problems import invalid, not_found
from registry_core.service import Platform
from registry_core.values import parse_alias, parse_ref

PROTECTED_STREAM: Final = "policy:protected-aliases"
PROTECTED_BY_DEFAULT: Final = frozenset({"champion", "production"})


def alias_stream(asset: str) -> str:
    """All aliases of one asset: a stream of their own, for an asset's stream grows with everything built on it."""
    return f"aliases:{asset}"


@dataclass(frozen=True, slots=True)
class Aliases:
    """State of one `aliases:<asset>` stream."""

    version: int = -1
    targets: Mapping[str, str] = field(default_factory=dict)
    """Version reference by alias."""

    def evolve(self, event: RecordedEvent) -> "Aliases":
        return replace(self, version=event.version, targets=_targets(self.targets, event.data))


def _targets(known: Mapping[str, str], data: Event) -> Mapping[str, str]:
    match data:
        case AliasMoved(alias=alias, after=after):
            return {**known, alias: after}
        case AliasRemoved(alias=alias):
            return {name: ref for name, ref in known.items() if name != alias}
        case _:
            return known


@dataclass(frozen=True, slots=True)
class Protected:
    """State of the stream that says which aliases are protected."""

    version: int = -1
    names: frozenset[str] = PROTECTED_BY_DEFAULT

    def evolve(self, event: RecordedEvent) -> "Protected":
        names = frozenset(event.data.after) if isinstance(event.data, AliasesProtected) else self.names
        return Protected(event.version, names)


async def resolve(platform: Platform, text: str, moment: Moment | None = None) -> str:
    """The version that `kind:name@version` or `kind:name@alias` stands for, now or then. Raises Problem 404, 422."""
    try:
        return _canonical(text)
    except ValueError as error:
        try:
            asset, alias = parse_alias(text)
        except ValueError:
            raise invalid(str(error), "write kind:name@semver, or kind:name@alias", field="ref") from error
    stream = alias_stream(asset)
    aliases = fold(Aliases(), (await platform.store.read_streams_at([stream], moment or Moment()))[stream])
    if alias not in aliases.targets:
        raise not_found(f"alias {alias!r} of {asset}", f"`hallmark alias list {asset}` tells those there are")
    return aliases.targets[alias]


def _canonical(ref: str) -> str:
    parse_ref(ref)
    return ref
