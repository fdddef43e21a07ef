"""Pipelines' events on a real topic, when ingestion dies between its append and the commit of its offsets."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from hallmark_ingestion import bootstrap as ingestion
from registry_core.messaging import dead_letters
from registry_core.messaging.follower import Follower
from registry_core.service import Platform
from registry_core.settings import Settings
from support import running, until

pytestmark = pytest.mark.messaging
TOPIC = "mlops.events"


def event(run: str, number: int, content: int = 1) -> bytes:
    data = {"ref": f"model:m{run}@1.0.{number}", "digest": f"sha256:{content:064x}"}
    named = {"id": f"{run}/{number}", "source": "urn:ci", "type": "io.hallmark.register-version.v1"}
    return json.dumps({"specversion": "1.0", **named, "data": data}).encode()


async def produce(settings: Settings, *values: bytes) -> int:
    """The offset behind the last."""
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap) as producer:
        sent = [await producer.send(TOPIC, value, partition=0) for value in values]
        return max(record.offset for record in await asyncio.gather(*sent)) + 1


async def registered(platform: Platform, run: str) -> dict[str, int]:
    """How many events each version of this run has."""
    streams = await platform.store.streams_under(f"model:m{run}@")
    return {stream: len(events) for stream, events in (await platform.store.read_streams(streams)).items()}


async def test_killed_between_append_and_commit_nothing_is_lost_and_nothing_done_twice(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, appended = uuid4().hex[:8], asyncio.Event()
    commit = Follower._commit

    behind = await produce(settings, *(event(run, n) for n in range(20)))

    async def die(self: Follower, tp: TopicPartition, offset: int) -> None:
        if (tp.topic, tp.partition) == (TOPIC, 0) and offset >= behind:
            appended.set()
            await asyncio.Event().wait()  # for ever: what follows never happens
        await commit(self, tp, offset)

    monkeypatch.setattr(Follower, "_commit", die)
    async with running(settings, [ingestion.build]) as (platform, _):
        await asyncio.wait_for(appended.wait(), 30)
        assert await registered(platform, run)
    monkeypatch.setattr(Follower, "_commit", commit)
    await produce(settings, event(run, 0, content=2), *(event(run, n) for n in range(20, 25)))
    async with running(settings, [ingestion.build]) as (platform, _):

        async def all_there() -> bool:
            return len(await registered(platform, run)) == 25

        assert await until(all_there)
        assert set((await registered(platform, run)).values()) == {1}
        assert await until(lambda: _conflicts(platform, run)) == [event(run, 0, content=2)]


async def _conflicts(platform: Platform, run: str) -> list[Any]:
    letters = await dead_letters.listing(platform.pool, "open", 1000)
    return [letter.value for letter in letters if run.encode() in letter.value]
