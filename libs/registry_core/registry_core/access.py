"""Which assets somebody may do something to. Roles, grants and scopes of tokens all come down to one value, a reach.

A reach is a set of prefixes of version references: `model:risk@` is one asset, `model:credit-` all that begin so, and
the empty prefix everything. So the same value answers for one asset, narrows a list in SQL (`ref ^@ any(prefixes)`),
and two of them intersect by comparing texts. Pure; no I/O.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from registry_core.values import parse_asset

ACTIONS: Final[Mapping[str, frozenset[str]]] = {
    "read": frozenset({"viewer", "contributor", "reviewer", "manager", "admin", "auditor"}),
    "download": frozenset({"viewer", "contributor", "reviewer", "manager", "admin", "auditor"}),
    "register": frozenset({"contributor", "admin"}),
    "amend": frozenset({"contributor", "manager", "admin"}),
    "promote": frozenset({"contributor", "manager", "admin"}),
    "review": frozenset({"reviewer"}),
    "except:request": frozenset({"contributor", "manager"}),
    "except:grant": frozenset({"manager"}),
    "lifecycle": frozenset({"manager", "admin"}),
    "advise": frozenset({"manager", "admin"}),
    "audit": frozenset({"auditor", "admin", "manager"}),
    "dead-letters": frozenset({"admin"}),
    "projections": frozenset({"admin"}),
    "policy": frozenset({"manager"}),
    "identity": frozenset({"admin"}),
    "sources": frozenset({"admin"}),
    "privacy": frozenset({"admin"}),
    "admit": frozenset({"viewer", "contributor", "reviewer", "manager", "admin", "auditor"}),
    "own-keys": frozenset({"viewer", "contributor", "reviewer", "manager", "admin", "auditor"}),
}
"""Who may do what; an action or role not named here is refused. `reviewer` stands for every `reviewer:<role>`.

`download` is to have a file's content, by whatever way: whoever is not to have it may still be one who reads.
`amend` is to write to a version, and further for those alone who answer for it, or managers. `own-keys` is to say with
which keys one signs: not `read`, so that a token for reading never speaks for a reviewer."""

FOR_PERSONS: Final = frozenset({"review", "except:grant"})
"""What four eyes are asked for: no role lets a service account do it."""


def known_action(name: str) -> str:
    """Raises ValueError that names those there are."""
    if name not in ACTIONS:
        raise ValueError(f"no action is called {name[:40]!r}; there are {', '.join(ACTIONS)}")
    return name


class Grant(NamedTuple):
    """A role on the assets of a pattern alone."""

    role: str
    assets: str
    """`model:risk`, or `model:credit-*`."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The assets that something may be done to. False: none."""

    prefixes: tuple[str, ...] = ()
    """Sorted, and none within another, so that equal reaches are equal."""

    @classmethod
    def of(cls, prefixes: Iterable[str]) -> "Reach":
        kept: list[str] = []
        for prefix in sorted(set(prefixes)):  # a prefix of another sorts before it, and next to it
            if not kept or not prefix.startswith(kept[-1]):
                kept.append(prefix)
        return cls(tuple(kept))

    def __bool__(self) -> bool:
        return bool(self.prefixes)

    @property
    def everywhere(self) -> bool:
        return self.prefixes == ("",)

    @property
    def patterns(self) -> list[str] | None:
        """As grants name them; None: everything."""
        return None if self.everywhere else [p[:-1] if p.endswith("@") else f"{p}*" for p in self.prefixes]

    def covers(self, asset: str) -> bool:
        """Whether an asset, `kind:name`, is within it."""
        return f"{asset}@".startswith(self.prefixes)

    def within(self, other: "Reach") -> "Reach":
        """What both reach."""
        if other.everywhere:
            return self
        ours = [one for one in self.prefixes if one.startswith(other.prefixes)]
        theirs = [one for one in other.prefixes if one.startswith(self.prefixes)]
        return Reach.of([*ours, *theirs])


NOWHERE: Final = Reach()
EVERYWHERE: Final = Reach(("",))


@dataclass(frozen=True, slots=True)
class Scope:
    """What a token is narrowed to. It takes away from its account, and adds nothing."""

    actions: frozenset[str] | None = None
    """None: all that the account may do."""
    reach: Reach = field(default=EVERYWHERE)


UNNARROWED: Final = Scope()


def scope_of(actions: Iterable[str] | None, assets: Iterable[str] | None) -> Scope:
    """None where the token is not narrowed. Patterns as in grants."""
    return Scope(
        None if actions is None else frozenset(actions),
        EVERYWHERE if assets is None else Reach.of(map(prefix_of, assets)),
    )


def prefix_of(pattern: str) -> str:
    """What references to versions of these assets begin with."""
    return pattern[:-1] if pattern.endswith("*") else f"{pattern}@"


def kind_of_role(role: str) -> str:
    """`reviewer` for every `reviewer:<role>`."""
    return role.partition(":")[0]


def held(action: str, roles: Iterable[str], grants: Iterable[Grant]) -> Reach:
    """Where these roles and grants allow the action."""
    allowed = ACTIONS.get(action, frozenset())
    if any(kind_of_role(role) in allowed for role in roles):
        return EVERYWHERE
    return Reach.of(prefix_of(grant.assets) for grant in grants if kind_of_role(grant.role) in allowed)


def asset_of(text: str) -> str | None:
    """The asset in `kind:name`, `kind:name@version` or `kind:name@alias`; None where there is none."""
    asset = text.partition("@")[0]
    try:
        parse_asset(asset)
    except ValueError:
        return None
    return asset
