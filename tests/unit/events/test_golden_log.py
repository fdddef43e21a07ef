"""Every event that any release ever wrote is read by this one: decoded, brought to its newest version, folded."""

import json
from collections import defaultdict

import pytest
from golden_log import CHECKPOINTS, checkpoints, golden_events, root_of
from hallmark_approval.process import PromotionStream
from hallmark_lifecycle.state import Lifecycle
from registry_core.events import Event, RecordedEvent, event_types
from registry_core.events.base import newest
from registry_core.handlers import Evolving, fold
from registry_core.identity import Account
from registry_core.proofs.envelope import leaf_bytes
from registry_core.values import parse_ref
from registry_core.version import Version

EVENTS = golden_events()
ADD = "add one with `python tests/golden_log.py`"


def streams() -> dict[str, list[RecordedEvent]]:
    found: defaultdict[str, list[RecordedEvent]] = defaultdict(list)
    for event in EVENTS:
        found[event.stream].append(event)
    return dict(found)


def test_the_golden_log_was_only_ever_added_to() -> None:
    kept = checkpoints()
    assert {size: root_of(EVENTS[:size]) for size in kept} == kept
    assert max(kept) == len(EVENTS), "events were added without a checkpoint"
    assert list(kept) == sorted(kept)
    assert len(CHECKPOINTS.read_text().splitlines()) == len(kept)


def test_one_changed_byte_would_be_noticed() -> None:
    spoiled = [*EVENTS]
    first = spoiled[0]
    spoiled[0] = RecordedEvent(
        **{name: getattr(first, name) for name in first.__slots__ if name[0] != "_"} | {"version": 1}
    )
    assert leaf_bytes(spoiled[0]) != leaf_bytes(first)
    assert root_of(spoiled) != root_of(EVENTS)


def test_it_holds_an_event_of_every_type_version() -> None:
    missing = event_types().keys() - {event.type for event in EVENTS}
    assert missing == set(), ADD


def test_every_version_but_the_newest_has_an_upcaster() -> None:
    latest = {newest(name) for name in event_types()}
    names = [kind.type.rpartition(".v")[0] for kind in latest if kind]
    assert len(names) == len(set(names)), "two versions of one type claim to be the newest"


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: f"{event.log_index}-{event.type}")
def test_it_is_read_and_nothing_it_says_is_lost(event: RecordedEvent) -> None:
    assert type(event.data) is newest(event.type)
    if event.model is event_types()[event.type]:
        assert event.body is not None
        assert _within(json.loads(event.body), json.loads(event.data.encode()))


def _within(said: object, read: object) -> bool:
    """Whether everything said is still there; fields with defaults may have come to it."""
    match said, read:
        case dict(), dict():
            return all(name in read and _within(value, read[name]) for name, value in said.items())
        case list(), list():
            return len(said) == len(read) and all(map(_within, said, read))
        case _:
            return said == read


def state_of(stream: str) -> Evolving | None:
    try:
        parse_ref(stream)
    except ValueError:
        return {"account": Account(), "promotion": PromotionStream()}.get(stream.partition(":")[0])
    return Version()


@pytest.mark.parametrize("stream", streams())
def test_every_stream_is_folded(stream: str) -> None:
    events = streams()[stream]
    initial = state_of(stream)
    if initial is None:
        assert all(isinstance(event.data, Event) for event in events)
        return
    assert fold(initial, events).version == len(events) - 1
    if isinstance(initial, Version):
        assert fold(Lifecycle(), events).of.exists
