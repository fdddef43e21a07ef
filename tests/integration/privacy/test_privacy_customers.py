"""Erasing a customer: the counts stay, and nobody finds out whose they were."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
from hallmark_lifecycle.adapters.pseudonyms import KEY_NAME, pseudonyms
from hallmark_lifecycle.projections import SERVED
from registry_core.events.governance import CustomerCount, ServedWindowRecorded
from registry_core.messaging import dead_letters
from registry_core.messaging.dead_letters import DeadLetter
from registry_core.messaging.transport import InboundRecord
from registry_core.projections import wait_projected
from registry_core.store import ANY, Append
from support import new

TOPIC = "serving.inference"


def inference(customer: str, at: datetime) -> InboundRecord:
    event = {
        "specversion": "1.0", "id": uuid4().hex, "source": "/x", "type": "org.kubeflow.serving.inference.request",
        "time": at.isoformat(), "inferenceservicename": "credit", "namespace": "production", "customer": customer,
    }  # fmt: skip
    return InboundRecord(
        TOPIC, 0, "1:0", None, {"content-type": "application/cloudevents+json"}, json.dumps(event).encode()
    )


async def serve(installation: Any, at: datetime, *customers: str) -> None:
    accept = installation.services[2].inbound[TOPIC]
    assert await accept([inference(customer, at) for customer in customers]) == []


async def served(installation: Any, customer: str, at: datetime) -> dict[str, Any]:
    platform = installation.platform
    last = await platform.pool.fetchval("select event_id from log.events order by position desc limit 1")
    index = await platform.store.wait_sealed(last, 20)
    assert await wait_projected(platform.pool, platform.notifier, SERVED, index, 20)
    answer = await installation.admin.get("/v1/served", params={"customer": customer, "at": at.isoformat()})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def erase(installation: Any, customer: str, **more: Any) -> httpx.Response:
    body = {"customer": customer, "confirm": customer, "reason": "ticket 9", **more}
    answer: httpx.Response = await installation.admin.post("/v1/privacy/customers/erase", json=body)
    return answer


async def test_one_customer_is_erased_and_the_others_are_still_found(installation: Any, name: str) -> None:
    at = datetime.now(UTC)
    await serve(installation, at, name, name, "other-customer")
    before = await served(installation, name, at)
    assert [row["requests"] for row in before["served"]] == [2]
    erased = await erase(installation, name)
    assert erased.status_code == 200, erased.text
    assert erased.json()["customer"] == before["customer"]
    after = await served(installation, name, at)
    assert (after["served"], after["unattributed"]) == ([], before["unattributed"])
    assert len((await served(installation, "other-customer", at))["served"]) == 1
    left = await installation.everything()
    assert before["customer"].encode() in left, "the search finds what is there"
    assert name.encode() not in left
    assert name.encode().hex().encode() not in left


async def test_a_customer_who_comes_back_is_a_new_one(installation: Any, name: str) -> None:
    at = datetime.now(UTC)
    await serve(installation, at, name)
    first = (await served(installation, name, at))["customer"]
    await erase(installation, name)
    await serve(installation, at, name)
    again = await served(installation, name, at)
    assert again["customer"] != first
    assert [row["requests"] for row in again["served"]] == [1]


async def test_erasing_twice_an_unknown_one_and_by_mistake(installation: Any, name: str) -> None:
    await serve(installation, datetime.now(UTC), name)
    assert (await erase(installation, name, confirm="other")).status_code == 422
    assert (await erase(installation, name, reason=f"by {name}")).status_code == 422
    assert (await erase(installation, "nobody")).status_code == 404
    first = (await erase(installation, name)).json()
    assert (await erase(installation, first["customer"])).json() == first
    assert (await erase(installation, name)).status_code == 404


async def test_records_set_aside_that_name_the_customer_are_emptied_and_no_others(installation: Any, name: str) -> None:
    await serve(installation, datetime.now(UTC), name)
    values = [f'{{"customer": "{name}"}}'.encode(), json.dumps({"customer": name}).encode(), f"x{name}x".encode()]
    async with installation.platform.pool.acquire() as connection:
        for number, value in enumerate(values):
            letter = DeadLetter(
                consumer="lifecycle", topic=TOPIC, partition=0, record=str(number), key=name if number == 0 else None,
                value=value, reason="no time", headers={"x-hallmark-customer": name} if number == 0 else {},
            )  # fmt: skip
            await dead_letters.put(connection, letter)
    assert (await erase(installation, name)).status_code == 200
    kept = await installation.owner.fetch("select key, headers::text, value from work.dead_letters order by record")
    assert [tuple(row) for row in kept] == [
        (None, "{}", b"[erased]"), (None, "{}", b"[erased]"), (None, "{}", values[2]),
    ]  # fmt: skip


async def test_windows_under_the_one_key_of_before_are_still_found(installation: Any, name: str) -> None:
    platform = installation.platform
    at = datetime.now(UTC)
    start = at.replace(second=0, microsecond=0)
    earlier = pseudonyms(platform.signing_key(KEY_NAME))(name)
    window = ServedWindowRecorded(
        deployment="credit", environment="production", start=start, end=start, approved=False, requests=1,
        customers=(CustomerCount(customer=earlier, requests=1, first_at=at, last_at=at),),
    )  # fmt: skip
    await platform.store.append(Append("serving:credit", [new(window)], ANY))
    assert [row["requests"] for row in (await served(installation, name, at))["served"]] == [1]
