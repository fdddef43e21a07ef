"""Names that point to one version of an asset. Streams: `aliases:<kind>:<name>`, and `policy:protected-aliases`."""

from registry_core.events.base import Event
from registry_core.values import Account, AliasName, Asset, Ref, Text


class AliasMoved(Event, type="io.hallmark.asset.alias-moved.v1", family="versions"):
    """The alias points to another version; without `before` it is new."""

    asset: Asset
    alias: AliasName
    before: Ref | None = None
    after: Ref
    reason: Text
    moved_by: Account


class AliasRemoved(Event, type="io.hallmark.asset.alias-removed.v1", family="versions"):
    """The alias points to nothing any more."""

    asset: Asset
    alias: AliasName
    before: Ref
    reason: Text
    removed_by: Account


class AliasesProtected(Event, type="io.hallmark.policy.aliases-protected.v1", family="policies"):
    """From here on these are the aliases, of every asset, that managers alone move, to approved versions alone."""

    before: tuple[AliasName, ...]
    after: tuple[AliasName, ...]
    reason: Text
    decided_by: Account
