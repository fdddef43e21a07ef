"""Any bytes under any headers: never a server error, always a problem that helps, and a good event beside gets in."""

import gzip
import json
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hallmark_ingestion import bootstrap as ingestion
from hypothesis import HealthCheck, given
from hypothesis import settings as checked
from hypothesis import strategies as st
from registry_core.messaging.transport import InboundRecord
from registry_core.service import Platform
from registry_core.settings import Settings
from support import http, running, token_of

EXAMPLES = int(os.environ.get("HALLMARK_FUZZ", "0")) * 20 or 60
TYPE = "io.hallmark.register-version.v1"
MODES = ["application/cloudevents+json", "application/cloudevents-batch+json", "application/json", "", "text/plain"]
ATTRIBUTES = ["specversion", "id", "source", "type", "time", "subject", "dataschema", "datacontenttype", "traceparent"]
SEEDED = "HALLMARK_FUZZ" not in os.environ
fuzz = checked(max_examples=EXAMPLES, derandomize=SEEDED, suppress_health_check=list(HealthCheck))
fuzz_more = checked(fuzz, max_examples=3 * EXAMPLES)


@dataclass(frozen=True)
class Target:
    client: httpx.AsyncClient
    platform: Platform
    take_in: Any
    numbers: Iterator[int]

    def good(self) -> dict[str, Any]:
        """An event that nobody sent before."""
        number = next(self.numbers)
        data = {"ref": f"model:good@1.0.{number}", "digest": f"sha256:{number:064x}"}
        return {"specversion": "1.0", "id": f"good {number}", "source": "urn:ci", "type": TYPE, "data": data}

    async def written(self) -> int:
        """Of versions; the accounts of the fixture are not counted."""
        streams = await self.platform.store.streams_under("model:")
        return sum(map(len, (await self.platform.store.read_streams(streams)).values()))


@pytest.fixture
async def target(settings: Settings) -> AsyncIterator[Target]:
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with running(alone, [ingestion.build]) as (platform, services):
        token = await token_of(platform, "ci", "contributor")
        async with http(platform, services, token) as client:
            yield Target(client, platform, services[0].inbound["mlops.events"], count())


HUGE = st.sampled_from([10**400, -(10**400), 1e308, 2**63, 2**64, 0.1, -0.0])
TEXTS = st.one_of(
    st.text(max_size=20), st.sampled_from(["\0", "\ud800", "\udfff", "é€😀", "x" * 5000, "model:m@1.0.0"])
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), HUGE, TEXTS)
JSONS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12
)


def deep(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@st.composite
def nearly_events(draw: st.DrawFn) -> Any:
    """An event with something broken, missing or added; or none."""
    event: dict[str, Any] = {"specversion": "1.0", "id": draw(TEXTS), "source": "urn:fuzz", "type": TYPE}
    event["data"] = {"ref": "model:fuzz@1.0.0", "digest": "sha256:" + "a" * 64}
    for name in draw(st.lists(st.sampled_from([*event, *ATTRIBUTES, "data_base64"]), min_size=1, max_size=3)):
        if draw(st.booleans()):
            event.pop(name, None)
        else:
            event[name] = draw(JSONS)
    if draw(st.booleans()) and isinstance(event.get("data"), dict):
        event["data"][draw(st.sampled_from(["ref", "digest", "files", "metadata", "format", "x"]))] = draw(JSONS)
    return draw(st.one_of(st.just(event), JSONS))


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


TWICE = b'{"specversion":"1.0","id":"1","id":"2","source":"a","type":"b","type":"c","data":{},"data":[]}'
BODIES = st.one_of(
    st.binary(max_size=64),
    JSONS.map(as_json),
    nearly_events().map(as_json),
    st.lists(nearly_events(), max_size=5).map(as_json),
    st.sampled_from([TWICE, b"NaN", b"\xef\xbb\xbf{}", b"[]", gzip.compress(b"{}"), as_json([{}] * 1500), b"1" * 6000]),
    st.integers(1, 100_000).map(deep),
    nearly_events().map(lambda event: as_json(event).replace(b'"', b'"\xff', 1)),
)
HEADER_VALUES = st.one_of(
    st.sampled_from(["1.0", "%ff", "%00", "%ED%A0%80", "%C0%A0", '"', '"\\', "%zz", ""]),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20),
)
SOME_HEADERS = st.dictionaries(
    st.sampled_from([f"ce-{name}" for name in [*ATTRIBUTES, "data", "x", "X!", ""]]), HEADER_VALUES, max_size=6
)
VALID = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "urn:fuzz", "ce-type": TYPE}
HEADERS = SOME_HEADERS | SOME_HEADERS.map(lambda some: {**VALID, **some})
ENCODINGS = st.sampled_from([None, None, None, "gzip", "identity", "br"])


@fuzz_more
@given(body=BODIES, mode=st.sampled_from(MODES), headers=HEADERS, encoding=ENCODINGS)
async def test_http_answers_anything_with_an_outcome_or_a_problem(
    target: Target, body: bytes, mode: str, headers: dict[str, str], encoding: str | None
) -> None:
    before = await target.written()
    named = {
        **headers,
        **({"content-type": mode} if mode else {}),
        **({"content-encoding": encoding} if encoding else {}),
    }
    answer = await target.client.post("/v1/events", content=body, headers=named)
    accepted = _accepted(answer)
    assert await target.written() - before <= accepted
    if not accepted:
        assert await target.written() == before


def _accepted(answer: httpx.Response) -> int:
    """How many events were taken in; of the rest each has a problem that is one."""
    if answer.status_code == 207:
        outcomes = answer.json()
    else:
        outcomes = [{"status": answer.status_code, **answer.json()}]
        expected = "application/json" if answer.status_code == 202 else "application/problem+json"
        assert answer.headers["content-type"] == expected
    refused = [outcome for outcome in outcomes if outcome["status"] != 202]
    for problem in refused:
        assert 400 <= problem["status"] < 500
        assert problem["type"].startswith("urn:hallmark:problem:")
        assert problem["detail"]
        assert problem["fix"]
    return len(outcomes) - len(refused)


@fuzz
@given(others=st.lists(nearly_events(), max_size=6), place=st.integers(0, 6))
async def test_a_good_event_gets_in_beside_any_others_of_its_batch(
    target: Target, others: list[Any], place: int
) -> None:
    good = target.good()
    batch = [*others[:place], good, *others[place:]]
    body = json.dumps(batch)
    if "\\ud" in body or "\\u0000" in body:  # then the batch is no JSON that can be read
        return
    answer = await target.client.post("/v1/events", content=body, headers={"content-type": MODES[1]})
    if answer.status_code == 207:
        outcome = answer.json()[min(place, len(others))]
        assert (outcome["id"], outcome["outcome"]) == (good["id"], "registered")
    else:
        assert "number" in answer.json()["detail"]  # one that no reader of JSON takes
    _accepted(answer)


RECORD_HEADERS = st.dictionaries(
    st.one_of(
        st.sampled_from([f"ce_{name}" for name in ATTRIBUTES]), st.sampled_from(["content-type", "CE_ID", "x", ""])
    ),
    st.one_of(HEADER_VALUES, TEXTS, st.sampled_from(MODES)),
    max_size=6,
)


@fuzz
@given(records=st.lists(st.tuples(BODIES, RECORD_HEADERS), max_size=5), place=st.integers(0, 5))
async def test_a_good_record_gets_in_beside_any_others_of_its_poll(
    target: Target, records: list[tuple[bytes, dict[str, str]]], place: int
) -> None:
    good, before = target.good(), await target.written()
    values = [*records[:place], (as_json(good), {}), *records[place:]]
    poll = [
        InboundRecord("mlops.events", 0, f"1:{n}", None, headers, value) for n, (value, headers) in enumerate(values)
    ]
    rejections = await target.take_in(poll)
    assert all(rejection.reason for rejection in rejections)
    assert not any(rejection.record.value == as_json(good) for rejection in rejections)
    stream = good["data"]["ref"]
    assert len((await target.platform.store.read_streams([stream]))[stream]) == 1
    assert await target.written() - before <= len(poll) - len(rejections)


async def test_a_batch_of_more_than_a_thousand_is_refused_whole_and_one_of_a_thousand_is_not(target: Target) -> None:
    batch, headers = [target.good() for _ in range(1001)], {"content-type": MODES[1]}
    answer = await target.client.post("/v1/events", content=json.dumps(batch), headers=headers)
    assert (answer.status_code, await target.written()) == (400, 0)
    answer = await target.client.post("/v1/events", content=json.dumps(batch[1:]), headers=headers)
    assert (answer.status_code, await target.written()) == (207, 1000)


async def test_an_event_of_two_bindings_at_once_is_one_event(target: Target) -> None:
    """Attributes may be copied into headers (HTTP binding, 3.2.3); the body counts."""
    good = target.good()
    headers = {
        "content-type": MODES[0],
        "ce-specversion": "1.0",
        "ce-id": uuid4().hex,
        "ce-source": "x",
        "ce-type": "y",
    }
    answer = await target.client.post("/v1/events", content=json.dumps(good), headers=headers)
    assert answer.json()["id"] == good["id"]
