"""Aliases against a plain dictionary, through any history of moves, removals and changes of what is protected."""

from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hallmark_ingestion.aliases import MOST_ALIASES, Alias, ProtectAliases, may_move, move, protect, remove
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from registry_core.aliases import Aliases, Protected
from registry_core.events import Event, RecordedEvent
from registry_core.events.aliases import AliasMoved, AliasRemoved
from registry_core.handlers import fold
from registry_core.problems import Problem
from registry_core.values import State, UseContext
from registry_core.version import Approval, Version
from support import NOW

ASSET = "model:risk"
NAMES = ("champion", "production", "challenger", "canary")
APPROVAL = Approval("p", UseContext(business_function="lending"), "production", NOW + timedelta(days=1), "sha256:0")


def version(number: int, state: State, *approvals: Approval) -> Version:
    return Version(version=0, ref=f"{ASSET}@{number}.0.0", state=state, approvals=approvals)


TARGETS = [
    version(1, State.APPROVED, APPROVAL), version(2, State.APPROVED, APPROVAL), version(3, State.DRAFT),
    version(4, State.APPROVED), version(5, State.SUSPENDED, APPROVAL), version(6, State.RETIRED),
]  # fmt: skip
IN_FORCE = {f"{ASSET}@1.0.0", f"{ASSET}@2.0.0"}


def recorded(version: int, data: Event) -> RecordedEvent:
    return RecordedEvent(
        id=UUID(int=version), stream="s", version=version, type=data.type, body=data.encode(), body_sha256=b"",
        actor="dana", occurred_at=NOW, recorded_at=NOW, correlation_id=UUID(int=0),
    )  # fmt: skip


@contextmanager
def refused(status: int | None) -> Any:
    """The block raises a Problem of this status; with None it raises none."""
    if status is None:
        yield
        return
    with pytest.raises(Problem) as raised:
        yield
    assert (raised.value.status, bool(raised.value.fix)) == (status, True)


class AliasesOverTime(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[RecordedEvent] = []
        self.rules: list[RecordedEvent] = []
        self.model: dict[str, str] = {}
        self.protected = {"champion", "production"}
        self.last: dict[str, str | None] = {}

    @property
    def state(self) -> Aliases:
        return fold(Aliases(), self.events)

    def keep(self, made: list[Event]) -> None:
        for data in made:
            assert isinstance(data, AliasMoved | AliasRemoved)
            assert data.before == self.last.get(data.alias)
            self.last[data.alias] = data.after if isinstance(data, AliasMoved) else None
            self.events.append(recorded(len(self.events), data))

    @rule(name=st.sampled_from(NAMES), to=st.sampled_from(TARGETS))
    def moves(self, name: str, to: Version) -> None:
        protected = name in fold(Protected(), self.rules).names
        there = self.model.get(name) == to.ref
        bad = (name in self.protected and to.ref not in IN_FORCE) or to.state == State.RETIRED
        with refused(409 if bad and not there else None):
            self.keep(move(self.state, Alias(ASSET, name, "dana", "why"), to, protected=protected, now=NOW))
            self.model[name] = to.ref

    @rule(name=st.sampled_from(NAMES))
    def removes(self, name: str) -> None:
        with refused(None if name in self.model else 404):
            self.keep(remove(self.state, Alias(ASSET, name, "dana", "why")))
            del self.model[name]

    @rule(names=st.sets(st.sampled_from(NAMES)))
    def protects(self, names: set[str]) -> None:
        made = protect(fold(Protected(), self.rules), ProtectAliases(names=tuple(names), reason="why"), "lee")
        self.rules += [recorded(len(self.rules) + n, data) for n, data in enumerate(made)]
        self.protected = names

    @invariant()
    def the_fold_is_the_dictionary(self) -> None:
        assert dict(self.state.targets) == self.model
        assert fold(Protected(), self.rules).names == self.protected


TestAliasesOverTime = AliasesOverTime.TestCase


def test_a_version_of_another_asset_or_of_nobody_is_refused() -> None:
    for target, status in ((Version(), 404), (Version(ref="model:other@1.0.0", state=State.DRAFT), 422)):
        with refused(status):
            move(Aliases(), Alias(ASSET, "canary", "dana", "why"), target, protected=False, now=NOW)


def test_an_approval_that_ran_out_protects_no_more() -> None:
    with refused(409):
        later = NOW + timedelta(days=1)
        move(Aliases(), Alias(ASSET, "champion", "lee", "why"), TARGETS[0], protected=True, now=later)


def test_an_asset_has_room_for_so_many_aliases() -> None:
    full = Aliases(0, {f"a{n}": f"{ASSET}@1.0.0" for n in range(MOST_ALIASES)})
    assert move(full, Alias(ASSET, "a0", "dana", "why"), TARGETS[1], protected=False, now=NOW)
    with refused(409):
        move(full, Alias(ASSET, "one-more", "dana", "why"), TARGETS[1], protected=False, now=NOW)


@pytest.mark.parametrize(
    ("roles", "protected", "answers", "status"),
    [
        ({"contributor"}, False, True, None),
        ({"contributor"}, False, False, 403),
        ({"contributor"}, True, True, 403),
        ({"admin"}, True, True, 403),
        ({"admin"}, False, False, 403),
        ({"manager"}, True, False, None),
        ({"manager"}, False, False, None),
    ],
)
def test_who_may_move_which_alias(roles: set[str], protected: bool, answers: bool, status: int | None) -> None:
    with refused(status):
        may_move(Alias(ASSET, "x", "dana", "why"), roles, protected=protected, answers_for_all=answers)
