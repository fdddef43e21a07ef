"""What differs between two states of an outer object, and what follows from it."""

import json
from uuid import uuid4

import pytest
from hallmark_ingestion.external.state import (
    MOST_OF_A_THING,
    Announcement,
    External,
    State,
    applied,
    bounded,
    differences,
    drift,
    fact,
    learned,
    observations,
    renamed,
)
from hypothesis import given
from hypothesis import strategies as st
from registry_core.events import Event
from registry_core.events.sources import (
    Difference,
    ExternalChangeAnnounced,
    ExternalDriftDetected,
    ExternalObjectObserved,
    ExternalVersionImported,
)
from registry_core.handlers import fold
from registry_core.sources import external_stream
from registry_core.store.memory import MemoryEventStore
from registry_core.store.model import MAX_BODY
from support import record

NAMES = st.sampled_from(["description", "stage", "alias champion", "tag a", "tag version 3", "tag two words"])
FACTS = st.dictionaries(NAMES, st.one_of(st.integers(), st.text(max_size=5), st.booleans()), max_size=4)
STATES = st.one_of(
    st.just({}),
    st.builds(
        lambda model, versions: {"model": model, **{f"version {n}": facts for n, facts in versions.items()}},
        FACTS,
        st.dictionaries(st.integers(1, 12), FACTS, max_size=4),
    ),
)


@given(STATES, STATES)
def test_the_differences_lead_from_one_state_to_the_other(before: State, after: State) -> None:
    found = differences(before, after)
    stored = [Difference.model_validate_json(difference.model_dump_json(exclude_none=True)) for difference in found]
    assert applied(before, stored) == after
    assert (found == []) == (before == after)


@given(STATES, STATES)
def test_a_stream_folds_to_what_was_last_seen(before: State, after: State) -> None:
    known = External(seen=True, state=before)
    events = learned("src", "churn", known, after)
    assert all(isinstance(event, ExternalDriftDetected) for event in events)
    assert learned("src", "churn", External(seen=True, state=after), after) == []


def test_what_a_delivery_explains_is_announced_and_the_rest_is_left() -> None:
    known = External(seen=True, state={"model": {"description": "a"}, "version 1": {"stage": "Staging"}})
    after = {"model": {"description": "b", "alias champion": "1"}, "version 1": {"stage": "Production", "tag x": "1"}}
    (event,) = learned("src", "churn", known, after, Announcement("d", ["version 1", "alias champion"]))
    assert isinstance(event, ExternalChangeAnnounced)
    assert [d.aspect for d in event.differences] == ["alias champion", "version 1 stage", "version 1 tag x"]


def test_a_delivery_about_version_1_says_nothing_of_version_12() -> None:
    known = External(seen=True, state={"model": {"created": 1}})
    after = {"model": {"created": 1}, "version 12": {"stage": "Production"}}
    assert learned("src", "churn", known, after, Announcement("d", ["version 1"])) == []


def test_a_delivery_that_changed_nothing_adds_nothing() -> None:
    state = {"model": {"created": 1}}
    assert learned("src", "churn", External(seen=True, state=state), state, Announcement("d", ["alias gone"])) == []


@pytest.mark.parametrize(
    ("aspect", "before", "after", "ref"),
    [
        ("version 1 stage", "None", "Production", "model:churn@1.0.0"),
        ("version 2 stage", "None", "Production", "model:churn@2.0.0"),
        ("version 3 stage", "None", "Production", "model:other@9.0.0"),
        ("version 4 stage", "None", "Production", None),
        ("alias champion", "1", "2", "model:churn@2.0.0"),
        ("alias champion", "1", None, "model:churn@1.0.0"),
        ("description", "a", "b", "model:churn@2.0.0"),
    ],
)
def test_drift_names_our_version_that_it_concerns(aspect: str, before: str, after: str | None, ref: str | None) -> None:
    imports = {
        n: ExternalVersionImported(
            source="src", object="churn", version=n, ref=f"model:churn@{n}.0.0", digest="sha256:" + "0" * 64
        )
        for n in ("1", "2")
    }
    state = {"model": {}, "version 3": {"tag hallmark.ref": "model:other@9.0.0"}, "version 4": {}}
    known = External(seen=True, state=state, imports=imports)
    assert drift("src", "churn", known, Difference(aspect=aspect, before=before, after=after)).ref == ref


async def folded(*events: Event) -> External:
    store = MemoryEventStore()
    stream = external_stream("src", str(uuid4()))
    await record(store, stream, *events)
    return fold(External(), (await store.read_streams([stream]))[stream])


async def test_a_renaming_leaves_nothing_under_the_old_name_and_all_under_the_new() -> None:
    state = {"model": {"created": 1, "tag a": "b"}, "version 1": {"source": "s"}}
    known = External(seen=True, state=state)
    gone, begun = renamed("src", "old", "new", known, state)
    assert (await folded(*observations("src", "old", state), *gone)).state == {}
    assert (await folded(*begun)).state == state


async def test_an_object_of_any_size_is_kept_in_events_that_the_log_takes() -> None:
    large = {f"version {n}": {"source": "s" * 1500, "created": n} for n in range(1000)}
    events = observations("src", "churn", {"model": {"created": 1}, **large})
    assert len(events) > 1
    assert max(len(event.encode()) for event in events) < MAX_BODY
    assert (await folded(*events)).state == {"model": {"created": 1}, **large}


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=50).map(lambda text: text * 1000), max_size=20))
def test_facts_are_bounded_and_still_differ(facts: dict[str, str]) -> None:
    kept = bounded({name: fact(value) for name, value in facts.items()})
    assert len(json.dumps(kept)) <= MOST_OF_A_THING
    ExternalObjectObserved(source="src", object="o", state={"model": dict(kept)}).encode()


def test_a_thousand_tags_are_told_by_their_digest_and_a_change_of_one_is_seen() -> None:
    tags = {f"tag {n:04}": "x" * 1000 for n in range(1000)}
    kept, changed = bounded(tags), bounded({**tags, "tag 0999": "y"})
    assert len(json.dumps(kept)) <= MOST_OF_A_THING
    assert [d.aspect for d in differences({"model": kept}, {"model": changed})] == ["and more"]


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "x" * 100_000])
def test_a_text_that_no_event_can_hold_is_told_by_its_digest(text: str) -> None:
    assert str(fact(text)).startswith("sha256:")
    assert fact(text) != fact(text + "!")
