"""Roles, grants and scopes in any combination: nothing is allowed that none allows, and narrowing never widens."""

from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from registry_core.access import ACTIONS, EVERYWHERE, FOR_PERSONS, Grant, Reach, Scope, asset_of, prefix_of, scope_of
from registry_core.identity import Account
from registry_core.values import AssetPattern

ROLES: Final = ("viewer", "contributor", "reviewer:security", "manager", "admin", "auditor", "unknown")
ASSETS: Final = ("model:a", "model:ab", "model:abc", "model:b", "prompt:a", "prompt:ab", "code:x")
PATTERNS: Final = (
    "model:a",
    "model:a*",
    "model:ab*",
    "model:*",
    "prompt:a",
    "prompt:*",
    "code:x",
    "model:zz",
    "model:b",
)

roles = st.frozensets(st.sampled_from(ROLES), max_size=3)
patterns = st.frozensets(st.sampled_from(PATTERNS), max_size=4)
grants = st.frozensets(st.builds(Grant, st.sampled_from(ROLES), st.sampled_from(PATTERNS)), max_size=4)
actions = st.sampled_from([*ACTIONS, "unknown"])
scopes = st.builds(
    scope_of, st.none() | st.frozensets(st.sampled_from(list(ACTIONS)), max_size=6), st.none() | patterns
)
kinds = st.sampled_from(["human", "service"])
accounts = st.builds(Account, kind=kinds, roles=roles, grants=grants, scope=scopes, closed=st.booleans())


def every(account: Account) -> set[tuple[str, str | None]]:
    """All that it may do: to each asset, and to everything."""
    return {(action, asset) for action in ACTIONS for asset in (*ASSETS, None) if account.may(action, asset)}


@given(accounts, actions, st.sampled_from(ASSETS))
def test_it_is_what_reading_the_words_gives(account: Account, action: str, asset: str) -> None:
    """Against patterns as a shell has them, and no reach at all."""

    def named(role: str) -> bool:
        return role.split(":", maxsplit=1)[0] in ACTIONS.get(action, ())

    held = any(map(named, account.roles)) or any(
        named(grant.role) and fnmatchcase(asset, grant.assets) for grant in account.grants
    )
    inside = account.scope.actions is None or action in account.scope.actions
    assets = account.scope.reach.patterns
    there = assets is None or any(fnmatchcase(asset, pattern) for pattern in assets)
    refused = account.closed or (account.kind == "service" and action in FOR_PERSONS)
    assert account.may(action, asset) is (held and inside and there and not refused)


@given(accounts, actions)
def test_everything_is_allowed_by_roles_alone_and_only_to_what_is_not_narrowed(account: Account, action: str) -> None:
    allowed = {role.split(":")[0] for role in account.roles} & ACTIONS.get(action, frozenset())
    if account.may(action):
        assert allowed
        assert account.scope.reach == EVERYWHERE
        assert all(account.may(action, asset) for asset in ASSETS)


@given(kinds, roles, roles, grants, grants)
def test_together_they_allow_what_each_allows_and_nothing_else(
    kind: str,
    one: frozenset[str],
    other: frozenset[str],
    granted: frozenset[Grant],
    more: frozenset[Grant],
) -> None:
    parts = [
        *(Account(kind=kind, roles=frozenset({role})) for role in one | other),
        *(Account(kind=kind, grants=frozenset({grant})) for grant in granted | more),
    ]
    assert every(Account(kind=kind, roles=one | other, grants=granted | more)) == set().union(*map(every, parts))


@given(accounts, scopes)
def test_a_scope_takes_away_and_never_adds(account: Account, scope: Scope) -> None:
    whole = Account(kind=account.kind, roles=account.roles, grants=account.grants, closed=account.closed)
    narrowed = Account(**{name: getattr(whole, name) for name in ("kind", "roles", "grants", "closed")}, scope=scope)
    assert every(narrowed) <= every(whole)
    assert all(narrowed.roles_on(asset) <= whole.roles_on(asset) for asset in ASSETS)


@given(accounts, patterns, patterns)
def test_a_narrower_scope_allows_no_more(account: Account, some: frozenset[str], more: frozenset[str]) -> None:
    def scoped(assets: frozenset[str]) -> set[tuple[str, str | None]]:
        parts = {name: getattr(account, name) for name in ("kind", "roles", "grants", "closed")}
        return every(Account(**parts, scope=scope_of(account.scope.actions, assets)))

    assert scoped(some) <= scoped(some | more)


@given(accounts, roles, grants)
def test_who_loses_roles_gains_nothing(account: Account, lost: frozenset[str], withdrawn: frozenset[Grant]) -> None:
    left = Account(
        kind=account.kind, roles=account.roles - lost, grants=account.grants - withdrawn, scope=account.scope,
        closed=account.closed,
    )  # fmt: skip
    assert every(left) <= every(account)


@given(patterns, patterns)
def test_two_reaches_meet_where_both_cover(one: frozenset[str], other: frozenset[str]) -> None:
    first, second = Reach.of(map(prefix_of, one)), Reach.of(map(prefix_of, other))
    for asset in ASSETS:
        assert first.within(second).covers(asset) is (first.covers(asset) and second.covers(asset))
    assert first.within(second) == second.within(first)
    assert first.within(EVERYWHERE) == first == EVERYWHERE.within(first)


@given(patterns)
def test_equal_reaches_are_equal_values(assets: frozenset[str]) -> None:
    reach = Reach.of(map(prefix_of, assets))
    assert not any(later.startswith(earlier) for earlier, later in pairwise(reach.prefixes))
    assert Reach.of(map(prefix_of, reach.patterns or [])) == reach


def test_an_asset_s_pattern_is_not_the_beginning_of_another_s_name() -> None:
    only = Account(grants=frozenset({Grant("viewer", "model:a")}))
    assert [asset for asset in ASSETS if only.may("read", asset)] == ["model:a"]


@pytest.mark.parametrize("text", ["model:a", "model:a*", "model:*", "prompt:support-*", "dataset:x.y_z"])
def test_a_pattern_is_an_asset_or_the_beginning_of_names(text: str) -> None:
    assert TypeAdapter(AssetPattern).validate_python(text) == text


@pytest.mark.parametrize("text", ["", "*", "model", "model:", "mod*", "model:a@1.0.0", "model:*a", "model:a*b", "x:a"])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(AssetPattern).validate_python(text)


@given(st.text())
def test_no_text_breaks_the_search_for_its_asset(text: str) -> None:
    found = asset_of(text)
    assert found is None or text.startswith(found)
