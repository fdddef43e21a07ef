"""Inference events become windows, each counted once, and a customer's question is answered from them."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hallmark_lifecycle.serving import ACCEPTED, REMEMBERED
from registry_core.events.governance import ServedWindowRecorded
from registry_core.events.lifecycle import VersionApproved
from registry_core.events.versions import VersionRegistered
from registry_core.messaging.transport import InboundRecord
from registry_core.values import File, Metadata, UseContext, sha256_digest

REF = "model:credit-risk@1.0.0"
DIGEST = sha256_digest(b"weights")
CONTEXT = UseContext(business_function="credit-scoring")
STREAM = "serving:credit-risk-1-0-0"
ANNOTATIONS = {"hallmark.io/model-version": REF, "hallmark.io/digest": DIGEST, "hallmark.io/promotion": "p1"}


async def approved(world: Any) -> None:
    await world.given(
        REF,
        VersionRegistered(
            ref=REF, digest=DIGEST, files=(File(name="m", digest=DIGEST),), metadata=Metadata(), registered_by="ci"
        ),
        VersionApproved(
            ref=REF, promotion="p1", context=CONTEXT, environment="production",
            expires_at=datetime.now(UTC) + timedelta(days=90), decision_digest=DIGEST,
        ),
    )  # fmt: skip


def record(n: int, at: datetime, **changed: str) -> InboundRecord:
    attributes = {
        "specversion": "1.0",
        "id": f"r-{n}",
        "source": "http://localhost:9081/",
        "type": "org.kubeflow.serving.inference.request",
        "time": at.isoformat(),
        "inferenceservicename": "credit-risk-1-0-0",
        "namespace": "production",
        "annotations": json.dumps(ANNOTATIONS),
        "customer": f"customer-{n % 2}",
    } | changed
    return InboundRecord(
        "serving.inference", 0, f"1:{n}", None, {f"ce_{k}": v for k, v in attributes.items() if v}, b"{}"
    )


async def accept(world: Any, records: Sequence[InboundRecord]) -> Sequence[Any]:
    return await world.service.inbound["serving.inference"](records)


async def counted(world: Any) -> int:
    return sum(window.requests for window in await world.data(STREAM, ServedWindowRecorded))


async def served(world: Any, customer: str, at: datetime) -> dict[str, Any]:
    await world.projected()
    answer = await world.get("/v1/served", await world.token("audrey", "auditor"), customer=customer, at=at.isoformat())
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_customer_is_told_which_version_served_them_and_whether_it_was_approved(world: Any) -> None:
    await approved(world)
    at = datetime.now(UTC)
    assert await accept(world, [record(n, at) for n in range(4)]) == []
    await accept(world, [record(4, at)])
    answer = await served(world, "customer-0", at)
    (found,) = answer["served"]
    assert (found["ref"], found["state"], found["approved"], found["requests"]) == (REF, "approved", True, 3)
    assert found["context"]["business_function"] == "credit-scoring"
    assert answer["unattributed"] == {"requests": 0, "of": 5}
    assert (await served(world, "customer-7", at))["served"] == []
    assert (await served(world, "customer-0", at - timedelta(minutes=5)))["served"] == []


async def test_no_customer_is_named_anywhere_in_the_database(world: Any) -> None:
    await approved(world)
    at = datetime.now(UTC)
    await accept(world, [record(0, at, customer="jane.doe@example.com")])
    answer = await served(world, "jane.doe@example.com", at)
    assert len(answer["served"]) == 1
    assert "jane" not in json.dumps(answer)
    for event in await world.events(STREAM):
        assert b"jane" not in event.body
    assert "jane" not in str(await world.platform.pool.fetch("select * from views.served_windows"))


async def test_an_event_counts_once_in_whatever_batches_it_comes(world: Any) -> None:
    await approved(world)
    at = datetime.now(UTC)
    records = [record(n, at) for n in range(6)]
    await accept(world, records[:4])
    await accept(world, records[:4])
    await accept(world, records[2:])
    await accept(world, [records[5], records[0], records[5]])
    assert await counted(world) == 6


async def test_consumers_that_hold_the_same_events_at_once_count_them_once(world: Any) -> None:
    await approved(world)
    at = datetime.now(UTC)
    records = [record(n, at) for n in range(40)]
    batches = [records[first : first + 20] for first in (0, 5, 10, 15, 20)]
    await asyncio.gather(*(accept(world, batch) for batch in [*batches, *reversed(batches)]))
    assert await counted(world) == 40


async def test_a_lost_memory_does_not_double_the_same_batch(world: Any) -> None:
    await approved(world)
    records = [record(n, datetime.now(UTC)) for n in range(3)]
    await accept(world, records)
    await world.platform.pool.execute("delete from work.served_inferences")
    await accept(world, records)
    assert await counted(world) == 3


async def test_responses_repeat_their_requests(world: Any) -> None:
    await approved(world)
    at = datetime.now(UTC)
    response = record(0, at, type="org.kubeflow.serving.inference.response")
    assert await accept(world, [response, record(0, at), response]) == []
    assert await counted(world) == 1


async def test_what_is_not_attributed_is_counted_as_such(world: Any) -> None:
    await approved(world)
    at = datetime.now(UTC)
    await accept(world, [record(0, at), record(2, at, annotations="")])
    answer = await served(world, "customer-0", at)
    assert [(row["ref"], row["approved"]) for row in answer["served"]] == [(REF, True), (None, False)]
    assert answer["unattributed"] == {"requests": 1, "of": 2}


async def test_a_bad_record_is_refused_and_its_neighbours_are_counted(world: Any) -> None:
    await approved(world)
    at = datetime.now(UTC)
    records = [record(0, at), record(1, at, id=""), record(2, at, annotations="{"), record(3, at)]
    rejections = await accept(world, records)
    assert [(r.record, r.reason.split(":")[0]) for r in rejections] == [(records[1], "id"), (records[2], "annotations")]
    assert await counted(world) == 2


async def test_what_can_no_longer_be_told_from_a_repetition_is_refused(world: Any) -> None:
    await approved(world)
    now = datetime.now(UTC)
    (rejection,) = await accept(world, [record(0, now - ACCEPTED - timedelta(seconds=1))])
    assert "repetition" in rejection.reason
    await accept(world, [record(1, now - ACCEPTED + timedelta(minutes=1))])
    assert REMEMBERED > ACCEPTED, "ids outlive the events that could still be accepted"
    await world.platform.pool.execute(
        "insert into work.served_inferences values (gen_random_uuid(), $1)", now - REMEMBERED - timedelta(seconds=1)
    )
    await _prune(world)
    assert await world.platform.pool.fetchval("select count(*) from work.served_inferences") == 1


async def _prune(world: Any) -> None:
    """One turn of the scheduler."""
    run, *_ = world.service.background
    await run.__self__.turn()


async def test_a_time_in_the_future_is_refused(strict_world: Any) -> None:
    (rejection,) = await accept(strict_world, [record(0, datetime.now(UTC) + timedelta(hours=1))])
    assert "future" in rejection.reason
