"""Rows that PostgreSQL can keep, whatever comes in; folds that survive it."""

import json
from dataclasses import replace

import pytest
from hallmark_console.projections import PROJECTIONS
from hallmark_console.projections.rows import KEY_LIMIT, data_of, row_key, storable
from hypothesis import given
from hypothesis import strategies as st
from registry_core.events import RecordedEvent
from registry_core.events.evidence import ArtifactScanned
from registry_core.events.governance import AccountClosed, AccountCreated
from registry_core.events.sources import Difference, ExternalDriftDetected
from registry_core.projections import Projection
from registry_core.store.memory import MemoryEventStore
from support import NOW, record
from support_portfolio import portfolio, scanned

REF = "model:credit-risk@1.0.0"

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def texts(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case list():
            return [text for item in value for text in texts(item)]
        case dict():
            return [*value, *(text for item in value.values() for text in texts(item))]
        case _:
            return []


@given(values)
def test_a_storable_value_has_no_nul_in_any_text(value: object) -> None:
    assert not [text for text in texts(storable(value)) if "\x00" in text]


@given(values)
def test_what_can_be_kept_is_kept_as_it_is(value: object) -> None:
    if not [text for text in texts(value) if "\x00" in text]:
        assert storable(value) == value


@pytest.mark.parametrize("name", ["a\x00b", r"a\u0000b", "plain"])
async def test_an_event_is_read_with_its_nuls_replaced_and_nothing_else(name: str) -> None:
    (event,) = await record(MemoryEventStore(), REF, scanned(REF, name))
    data = data_of(event)
    assert isinstance(data, ArtifactScanned)
    assert data.file == name.replace("\x00", "\ufffd")


@given(st.lists(st.text(), min_size=1, max_size=3), st.integers(0, 3000))
def test_a_key_is_short_and_the_same_for_the_same_parts(parts: list[str], repeated: int) -> None:
    parts = [*parts[:-1], parts[-1] * repeated]
    key = row_key(*parts)
    assert len(key.encode()) <= KEY_LIMIT
    assert key == row_key(*parts)


async def log_of_a_portfolio() -> list[RecordedEvent]:
    store = MemoryEventStore()
    for stream, event, actor, _ in portfolio(NOW):
        await record(store, stream, event, actor=actor)
    found = Difference(aspect="alias champion", before="1", after="2")
    drift = ExternalDriftDetected(source="nightly", object="churn", difference=found, ref="model:churn@0.4.2")
    await record(store, "external:nightly:churn", drift, actor="service:ingestion")
    dana = AccountCreated(account="dana", kind="human", person="dana")
    await record(store, "account:dana", dana, AccountClosed(account="dana", reason="left"), actor="admin")
    return store.log


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda p: p.name)
async def test_folding_at_once_or_one_by_one_gives_the_same_rows(projection: Projection) -> None:
    log = await log_of_a_portfolio()
    rows: dict[str, dict[str, object]] = {}
    for event in log:
        rows.update(json.loads(json.dumps(projection.fold(rows, [event]))))
    assert rows == json.loads(json.dumps(projection.fold({}, log)))
    assert rows


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda p: p.name)
async def test_an_erased_or_unknown_event_never_stops_a_projection(projection: Projection) -> None:
    log = await log_of_a_portfolio()
    broken = [replace(event, body=None, _decoded=[]) for event in log[::3]]
    broken += [replace(event, type="io.hallmark.future.v9", _decoded=[]) for event in log[1::3]]
    broken += [replace(event, body=b"{}", _decoded=[]) for event in log[2::3]]
    assert isinstance(projection.fold({}, broken), dict)
    assert projection.fold({}, [*log, *broken])
