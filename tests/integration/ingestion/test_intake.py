"""Many events in one batch or poll: each has its own outcome, and all of them cost a handful of queries."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from cloudevents.core.bindings import http as sdk_http
from cloudevents.core.bindings import kafka as sdk_kafka
from cloudevents.core.v1.event import CloudEvent as SdkEvent
from hallmark_ingestion import bootstrap as ingestion
from hallmark_ingestion.intake.batch import by_the_broker, carry_out
from hallmark_ingestion.intake.cloudevents import CloudEvent, from_batch
from hallmark_ingestion.intake.conflicts import KEPT
from hallmark_ledger import bootstrap as ledger
from hypothesis import HealthCheck, given
from hypothesis import settings as checked
from hypothesis import strategies as st
from registry_core.events import RecordedEvent
from registry_core.events.versions import DependencyChanged
from registry_core.messaging import dead_letters
from registry_core.messaging.transport import InboundRecord
from registry_core.problems import Problem
from registry_core.service import Platform
from registry_core.settings import Settings
from registry_core.store import ANY, Append
from support import http, new, running, token_of

TYPE = "io.hallmark.register-version.v1"
BATCH = {"content-type": "application/cloudevents-batch+json"}


def digest(n: int) -> str:
    return f"sha256:{n:064x}"


def sent(event_id: str, ref: str = "", content: int = 1, **changes: Any) -> dict[str, Any]:
    """An event that registers `ref` (by default one of its own) with some content."""
    data = {"ref": ref or f"model:m@1.0.{event_id}", "digest": digest(content)}
    return {"specversion": "1.0", "id": event_id, "source": "urn:ci", "type": TYPE, "data": data, **changes}


@dataclass(frozen=True)
class Registry:
    client: httpx.AsyncClient
    platform: Platform
    take_in: Any

    async def batch(self, *events: Any) -> list[dict[str, Any]]:
        answer = await self.client.post("/v1/events", content=json.dumps(events), headers=BATCH)
        assert answer.status_code == 207
        return list(answer.json())

    async def events(self, stream: str) -> list[RecordedEvent]:
        return (await self.platform.store.read_streams([stream]))[stream]

    async def letters(self) -> list[dead_letters.DeadLetter]:
        return await dead_letters.listing(self.platform.pool, "open", 1000)


@pytest.fixture
async def registry(settings: Settings) -> AsyncIterator[Registry]:
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with running(alone, [ledger.build, ingestion.build]) as (platform, services):
        token = await token_of(platform, "ci", "contributor", "admin")
        async with http(platform, services, token) as client:
            yield Registry(client, platform, services[1].inbound["mlops.events"])


def results(outcomes: list[dict[str, Any]]) -> list[Any]:
    return [outcome.get("outcome") or outcome["type"].rpartition(":")[2] for outcome in outcomes]


async def test_each_event_of_a_batch_has_an_outcome_of_its_own(registry: Registry) -> None:
    bad = {**sent("3"), "data": {"ref": "nonsense"}}
    outcomes = await registry.batch(sent("1"), 7, sent("2"), bad, sent("4", time="3000-01-01T00:00:00Z"), sent("5"))
    assert [outcome["status"] for outcome in outcomes] == [202, 400, 202, 422, 422, 202]
    assert [outcome.get("id") for outcome in outcomes] == ["1", None, "2", "3", "4", "5"]
    assert [outcome.get("field") for outcome in outcomes] == [None, "/1", None, "/3/data/ref", "/4/time", None]
    assert all(outcome["fix"] for outcome in outcomes if outcome["status"] != 202)
    assert [len(await registry.events(f"model:m@1.0.{n}")) for n in range(1, 6)] == [1, 1, 0, 0, 1]


async def test_two_events_of_one_batch_for_one_version(registry: Registry) -> None:
    ref = "model:twice@1.0.0"
    outcomes = await registry.batch(sent("1", ref), sent("2", ref), sent("3", ref, content=2), sent("4"))
    assert results(outcomes) == ["registered", "known", "conflict", "registered"]
    assert outcomes[2]["field"] == "/2/data/digest"
    assert len(await registry.events(ref)) == 1


async def test_an_id_twice_in_one_batch(registry: Registry) -> None:
    outcomes = await registry.batch(sent("1"), sent("1"), sent("1", content=2), sent("1", "model:n@1.0.0"), sent("2"))
    assert results(outcomes) == ["registered", "known", *["same-id-other-content"] * 2, "registered"]
    assert await registry.events("model:n@1.0.0") == []


async def test_an_id_whose_first_event_was_refused_is_free(registry: Registry) -> None:
    itself = sent("1", "model:m@1.0.0")
    itself["data"]["metadata"] = {"depends_on": ["model:m@1.0.0"]}
    outcomes = await registry.batch(itself, sent("1", "model:m@1.0.0"))
    assert results(outcomes) == ["invalid", "registered"]
    assert outcomes[0]["field"] == "/0/data/metadata/depends_on"


async def test_a_version_that_was_spoken_of_before_it_was_registered_still_can_be(registry: Registry) -> None:
    """Its stream is there already, so it is not at the version that an unknown one is at."""
    ref = "model:spoken-of@1.0.0"
    changed = DependencyChanged(ref=ref, dependency="prompt:p@1.0.0", newer="prompt:p@2.0.0", newer_digest=digest(1))
    await registry.platform.store.append(Append(ref, [new(changed)], ANY))
    assert results(await registry.batch(sent("1", ref), sent("2", ref))) == ["registered", "known"]


async def test_a_batch_costs_one_append_and_a_redelivery_no_more(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Counter[str]()
    fetch = asyncpg.Connection.fetch

    async def counted(self: Any, query: str, *arguments: Any, **named: Any) -> Any:
        asked["append" if "append_batch" in query else "look"] += "log.events" in query or "append_batch" in query
        return await fetch(self, query, *arguments, **named)

    events = from_batch(json.dumps([sent(f"{n}") for n in range(200)]).encode())
    monkeypatch.setattr(asyncpg.Connection, "fetch", counted)
    first = await carry_out(registry.platform, events, "ci", by_the_broker)
    after_first = asked.copy()
    again = await carry_out(registry.platform, events, "ci", by_the_broker)
    assert {outcome["outcome"] for outcome in first if not isinstance(outcome, Problem)} == {"registered"}
    assert {outcome["outcome"] for outcome in again if not isinstance(outcome, Problem)} == {"known"}
    assert after_first["append"] == 1
    assert asked["append"] == 2


async def test_the_same_batch_from_two_sides_at_once_writes_each_event_once(registry: Registry) -> None:
    batch = [sent(f"{n}") for n in range(60)]
    both = await asyncio.gather(*(registry.batch(*batch[n:], *batch[:n]) for n in (0, 30)))
    assert all(outcome["status"] == 202 for outcomes in both for outcome in outcomes)
    found = Counter(outcome["outcome"] for outcomes in both for outcome in outcomes)
    assert found == {"registered": 60, "known": 60}


async def test_records_of_one_poll_are_taken_in_together_and_the_bad_ones_named(registry: Registry) -> None:
    values = [json.dumps(sent("1")).encode(), b"garbage", json.dumps(sent("1", content=2)).encode()]
    records = [InboundRecord("mlops.events", 0, f"1:{n}", None, {}, value) for n, value in enumerate(values)]
    rejections = await registry.take_in(records)
    assert [(rejection.record.record, rejection.reason.partition(" ")[0]) for rejection in rejections] == [
        ("1:1", "malformed-event:"),
        ("1:2", "same-id-other-content"),
    ]
    assert len(await registry.events("model:m@1.0.1")) == 1


async def test_other_content_under_an_id_is_kept_for_somebody_to_look_at(registry: Registry) -> None:
    await registry.batch(sent("1"))
    single = await registry.client.post(
        "/v1/events", content=json.dumps(sent("1", content=2)), headers={"content-type": "application/cloudevents+json"}
    )
    assert (single.status_code, single.json()["type"]) == (409, "urn:hallmark:problem:same-id-other-content")
    await registry.batch(sent("1", content=3))
    (letter,) = (await registry.client.get("/v1/dead-letters")).json()
    assert (letter["topic"], letter["key"]) == ("http.events", "ci")
    assert json.loads(letter["text"])["data"]["digest"] == digest(2)
    answer = await registry.client.post(f"/v1/dead-letters/{letter['id']}/replay")
    assert (answer.status_code, "came over HTTP" in answer.json()["detail"]) == (409, True)


async def test_one_account_cannot_fill_the_dead_letters(registry: Registry) -> None:
    count = KEPT + 20
    await registry.batch(*(sent(f"{n}") for n in range(count)))
    for _ in range(2):
        outcomes = await registry.batch(*(sent(f"{n}", content=2) for n in range(count)))
        assert {outcome["status"] for outcome in outcomes} == {409}
    assert len(await registry.letters()) == KEPT


STEPS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 1), st.booleans()), max_size=8)
"""Id, version, content, and whether it is readable."""


@checked(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
async def test_a_batch_has_the_outcomes_that_its_events_have_one_by_one(registry: Registry, steps: Any) -> None:
    def events(run: str) -> list[CloudEvent | Problem]:
        made = [
            sent(f"{run}{number}", f"model:r{run}@1.0.{version}", content) if readable else {}
            for number, version, content, readable in steps
        ]
        return from_batch(json.dumps(made).encode())

    one, other = uuid4().hex, uuid4().hex
    together = await carry_out(registry.platform, events(one), "ci", by_the_broker)
    singly = [(await carry_out(registry.platform, [event], "ci", by_the_broker))[0] for event in events(other)]
    assert [_said(outcome).replace(one, "") for outcome in together] == [
        _said(outcome).replace(other, "") for outcome in singly
    ]


def _said(outcome: Any) -> str:
    return outcome.slug if isinstance(outcome, Problem) else json.dumps(dict(outcome))


def sdk_event(number: int) -> SdkEvent:
    attributes = {"id": f"é {number}%", "source": "urn:ci", "type": TYPE, "datacontenttype": "application/json"}
    return SdkEvent({**attributes, "runid": "7"}, sent(str(number))["data"])


@pytest.mark.parametrize("to_message", [sdk_http.to_binary_event, sdk_http.to_structured_event])
async def test_what_the_official_sdk_sends_over_http_is_read(registry: Registry, to_message: Any) -> None:
    message = to_message(sdk_event(1))
    answer = await registry.client.post("/v1/events", content=message.body, headers=message.headers)
    assert answer.json() == {
        "id": "é 1%", "ref": "model:m@1.0.1", "outcome": "registered", "not_kept": ["runid"]
    }  # fmt: skip


@pytest.mark.parametrize("to_message", [sdk_kafka.to_binary_event, sdk_kafka.to_structured_event])
async def test_what_the_official_sdk_sends_to_kafka_is_read(registry: Registry, to_message: Any) -> None:
    message = to_message(sdk_event(2))
    headers = {name: value.decode() for name, value in message.headers.items()}
    assert await registry.take_in([InboundRecord("mlops.events", 0, "1:1", None, headers, message.value)]) == []
    assert len(await registry.events("model:m@1.0.2")) == 1
