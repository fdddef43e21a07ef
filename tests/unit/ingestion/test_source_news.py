"""What is told of an object over and over, late and out of order, ends at what was said last."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from hallmark_ingestion.sources.announced import Announced, news
from hypothesis import given
from hypothesis import strategies as st
from registry_core.events import RecordedEvent
from registry_core.events.sources import Difference, ExternalChangeAnnounced
from support import NOW


@dataclass(frozen=True)
class Told:
    second: int
    value: str


ONCE = st.lists(st.sampled_from("abc"), min_size=1, max_size=6)
"""What the source went through, one state per second."""


def announce(known: Announced, heard: dict[str, datetime], told: Told) -> tuple[Announced, tuple[Difference, ...]]:
    """What handling does with a delivery."""
    at = NOW + timedelta(seconds=told.second)
    differences = news(known, heard, {"state": told.value}, at)
    heard["state"] = max(heard.get("state", at), at)
    if not differences:
        return known, ()
    data = ExternalChangeAnnounced(source="s", object="o", delivery="d", differences=differences)
    event = RecordedEvent(
        id=uuid4(), stream="external:s:o", version=known.version + 1, type=data.type, body=data.encode(),
        body_sha256=b"", actor="service:ingestion", occurred_at=at, recorded_at=NOW, correlation_id=uuid4(),
    )  # fmt: skip
    return known.evolve(event), differences


@given(states=ONCE, data=st.data())
def test_deliveries_in_any_order_and_number_end_at_the_newest_state(states: list[str], data: st.DataObject) -> None:
    sent = [Told(second, value) for second, value in enumerate(states)]
    again = data.draw(st.lists(st.sampled_from(sent), max_size=8))
    known, heard = Announced(), dict[str, datetime]()
    for told in data.draw(st.permutations([*sent, *again])):
        known, _ = announce(known, heard, told)
    assert known.state["state"] == states[-1]


@given(states=ONCE)
def test_in_order_each_change_is_told_once_with_what_was_before(states: list[str]) -> None:
    known, changes, heard = Announced(), [], dict[str, datetime]()
    for second, value in enumerate(states):
        for told in (Told(second, value), Told(second, value)):
            known, differences = announce(known, heard, told)
            changes += [(each.before, each.after) for each in differences]
    moves = [state for n, state in enumerate(states) if n == 0 or state != states[n - 1]]
    assert changes == list(zip([None, *moves], moves, strict=False))
