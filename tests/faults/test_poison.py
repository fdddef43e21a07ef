"""Messages that nobody can handle: set aside with their reason, looked at and replayed over HTTP, in nobody's way."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from faults.cluster import Cluster
from faults.invariants import at_rest, check_log
from faults.place import NewPlace, Place
from hallmark.client import Client
from hallmark_approval.policy import baseline_pack
from registry_core.events.governance import PolicyActivated
from registry_core.messaging.kafka import registry_topics
from registry_core.service import connect_pool
from registry_core.store import ANY, Append
from registry_core.store.postgres import PostgresEventStore
from registry_core.values import sha256_digest
from support import new, until

pytestmark = [pytest.mark.faults, pytest.mark.messaging, pytest.mark.timeout(120)]

DIGEST: Final = "sha256:" + "a" * 64
Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Site:
    """A running installation, and its administrator."""

    place: Place
    services: Cluster
    client: Client

    async def send(self, topic: str, value: bytes, headers: Headers = (), key: bytes | None = None) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.place.settings.kafka_bootstrap) as producer:
            await producer.send_and_wait(topic, value, key=key, headers=list(headers))

    async def letters(self, topic: str, count: int, text: str = "") -> list[dict[str, Any]]:
        """Open ones that hold a text, once there are so many; the newest first."""
        return await until(lambda: asyncio.to_thread(self._letters, topic, count, text))

    def _letters(self, topic: str, count: int, text: str) -> list[dict[str, Any]]:
        letters = self.client.dead_letters("open", limit=1000)
        found = [letter for letter in letters if letter["topic"] == topic and text in letter["text"]]
        return found if len(found) >= count else []

    async def at_rest(self) -> None:
        async with self.place.owner() as owner:
            await at_rest(owner, self.place.installation)
            await check_log(owner)

    async def registered(self, ref: str) -> bool:
        async with self.place.owner() as owner:
            return bool(await owner.fetchval("select true from log.streams where stream_id = $1", ref))


@pytest.fixture(scope="module")
async def site(new_place: NewPlace) -> AsyncIterator[Site]:
    place = await new_place()
    async with place.services() as services:
        with Client(services.site.url, services.site.token) as client:
            await asyncio.to_thread(client.whoami)
            yield Site(place, services, client)


def registration(ref: str, event: str | None = None, **changes: Any) -> bytes:
    document = {
        "specversion": "1.0",
        "id": event or str(uuid4()),
        "source": "urn:example:ci",
        "type": "io.hallmark.register-version.v1",
        "data": {"ref": ref, "digest": DIGEST},
    }
    return json.dumps({**document, **changes}).encode()


def barely_an_event() -> bytes:
    """Small enough for the topic (256 KiB), and too large for the event that would come of it."""
    files = [{"name": f"{n:0{166 + (n < 940)}}", "digest": DIGEST} for n in range(1000)]
    document = json.loads(registration("model:d@1.0.0", data={"ref": "model:d@1.0.0", "files": files}))
    return json.dumps(document, separators=(",", ":")).encode()


INBOUND_POISON: Final[Mapping[str, tuple[bytes, str]]] = {
    "not JSON": (b"\x00\xff{", "not JSON"),
    "unknown type": (registration("model:a@1.0.0", type="io.hallmark.drop-everything.v1"), "unknown-type"),
    "oversized": (registration("model:b@1.0.0", padding="x" * 300_000), "too-large"),
    "no reference": (registration("what is this"), "invalid"),
    "no id": (registration("model:c@1.0.0", id=""), "malformed-event"),
    "deeply nested": (b"[" * 100_000, "malformed-event"),
    "too large as an event": (barely_an_event(), "too-large"),
    "half a character": (registration("model:e@1.0.0", type="\ud800"), "malformed-event"),
    "half a character in what is kept": (registration("model:f@1.0.0", source="\ud800"), "malformed-event"),
}


async def test_poison_on_the_pipelines_topic_is_kept_with_its_reason(site: Site) -> None:
    for value, _ in INBOUND_POISON.values():
        await site.send("mlops.events", value, [("x-nul", b"\x00"), ("x-null", None)], key=b"one partition\x00\xff")
    await site.send("mlops.events", registration("model:good@1.0.0", "id 1"), key=b"one partition\x00\xff")
    await site.send("mlops.events", registration("model:evil@1.0.0", "id 1"), key=b"one partition\x00\xff")
    better = registration("model:better@1.0.0")
    await site.send("mlops.events", better, [("x-null", None), ("x", b"\xff")], key=b"one partition\x00\xff")
    letters = await site.letters("mlops.events", len(INBOUND_POISON) + 1)
    told = [letter["reason"] for letter in reversed(letters)]
    wanted = [*(reason for _, reason in INBOUND_POISON.values()), "same-id-other-content"]
    assert all(part in reason for part, reason in zip(wanted, told, strict=True)), told
    assert await until(lambda: site.registered("model:better@1.0.0"))
    assert await site.registered("model:good@1.0.0")
    assert not await site.registered("model:evil@1.0.0")


async def test_poison_on_the_serving_topic_is_kept_with_its_reason(site: Site) -> None:
    old = [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"s"), ("ce_namespace", b"production"),
           ("ce_type", b"org.kubeflow.serving.inference.request"), ("ce_inferenceservicename", b"m")]  # fmt: skip
    await site.send("serving.inference", b"\xff\x00 garbage", [("x", None)])
    await site.send("serving.inference", b"{}", [*old, ("ce_time", b"2001-01-01T00:00:00Z")])
    now = datetime.now(UTC).isoformat().encode()
    await site.send("serving.inference", b"{}", [*old, ("ce_time", now), ("x", None)])
    reasons = sorted(letter["reason"] for letter in await site.letters("serving.inference", 2))
    assert "no CloudEvent" in reasons[0]
    assert "cannot be told from a repetition" in reasons[1]
    assert await until(lambda: site.registered("serving:m"))  # the good one was counted


async def test_forged_records_on_every_registry_topic_have_no_effect(site: Site) -> None:
    forged = [("ce_source", b"urn:hallmark:registry"), ("ce_logindex", b"999999"), ("ce_type", b"io.hallmark.x.v1")]
    await until(lambda: site.registered("policy:baseline"))
    await until(lambda: site.registered("account:service:approval"))
    await site.at_rest()
    before = await site.place.log_size()
    for topic in registry_topics():
        await site.send(topic, b"\xff\x00 garbage")
        await site.send(topic, b"{}", [("ce_source", b"urn:somebody:else"), ("ce_logindex", b"0")])
        await site.send(topic, b"null", [("ce_source", None), ("ce_logindex", None)])
        await site.send(topic, b"{}", forged)
    followed = {topic for topics in site.place.installation.topics.values() for topic in topics}
    for topic in followed:
        consumers = [name for name, topics in site.place.installation.topics.items() if topic in topics]
        letters = await site.letters(topic, 3 * len(consumers))
        assert sorted(letter["consumer"] for letter in letters) == sorted(consumers * 3)
        assert {letter["reason"].partition(":")[0] for letter in letters} == {"not written by the relay"}
    await site.at_rest()
    assert await site.place.log_size() == before


async def test_a_letter_is_shown_and_after_a_replay_that_fails_it_is_open_again(site: Site) -> None:
    await site.send("mlops.events", b"shown", [("content-type", b"text/plain")], key=b"k")
    (letter,) = await site.letters("mlops.events", 1, "shown")
    shown = await asyncio.to_thread(site.client.dead_letter, letter["id"])
    assert (shown["text"], shown["key"], shown["headers"]) == ("shown", "k", {"content-type": "text/plain"})
    await asyncio.to_thread(site.client.replay_dead_letter, letter["id"])
    (again,) = await site.letters("mlops.events", 1, "shown")
    assert again["id"] == letter["id"]


async def test_what_a_broken_policy_stopped_goes_on_after_a_replay(site: Site) -> None:
    """An event of the log itself as poison: its letter is replayed when the cause is mended, and nothing is lost."""
    await activate_unchecked(site.place, "this is no policy")
    await asyncio.to_thread(site.client.register_version, "model:m@1.0.0", digest=DIGEST)
    asked = await asyncio.to_thread(
        site.client.request_promotion, "model:m@1.0.0", {"business_function": "care"}, environment="production"
    )
    (letter,) = await site.letters("registry.promotions", 1, "model:m@1.0.0")
    assert letter["consumer"] == "approval"
    await activate_unchecked(site.place, baseline_pack().decode())
    await asyncio.to_thread(site.client.replay_dead_letter, letter["id"])
    found = await asyncio.to_thread(site.client.wait_promotion, asked["promotion"], timeout=20)
    assert found["status"] == "refused"
    assert (await asyncio.to_thread(site.client.dead_letter, letter["id"]))["state"] == "replayed"


async def activate_unchecked(place: Place, document: str) -> None:
    """Past the service, which would refuse the broken one."""
    activated = PolicyActivated(
        name="baseline",
        version="9",
        digest=sha256_digest(document.encode()),
        document=document,
        activated_by="somebody",
    )
    pool = await connect_pool(place.settings)
    try:
        await PostgresEventStore(pool).append(Append("policy:baseline", [new(activated)], ANY))
    finally:
        await pool.close()
