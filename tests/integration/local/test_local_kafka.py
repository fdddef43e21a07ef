"""A real Apache Kafka without Docker, of the same shape as the embedded broker."""

import asyncio
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from registry_core.local.broker import LocalBroker
from registry_core.local.errors import LocalStackError
from registry_core.local.kafka import PROJECT, apache_kafka, resolve_jars

MISSING = [name for name in ("java", "mvn") if shutil.which(name) is None]
WITHOUT_JAVA = pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} missing: Apache Kafka cannot be run")
CACHE = PROJECT / ".kafka"
StartParent = Callable[..., "subprocess.Popen[str]"]
FOREGROUND = "import runpy; runpy.run_module('registry_core.local.kafka', run_name='__main__')"


def needs_java(test: Callable[..., object]) -> Callable[..., object]:
    """Runs Apache Kafka, which `make test-kafka` is for."""
    marked: Callable[..., object] = pytest.mark.kafka(WITHOUT_JAVA(test))
    return marked


@pytest.fixture(scope="module")
async def kafka(tmp_path_factory: pytest.TempPathFactory):
    async with apache_kafka(CACHE, tmp_path_factory.mktemp("kafka")) as running:
        yield running


async def produce(bootstrap: str, topic: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True) as producer:
        for value in (b"1", b"2", b"3"):
            await producer.send_and_wait(topic, value, key=b"one partition")


async def read(bootstrap: str, topic: str) -> list[bytes]:
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=str(uuid4()), auto_offset_reset="earliest"
    ) as consumer:
        return [(await asyncio.wait_for(consumer.getone(), 20)).value for _ in range(3)]


async def partitions_of(bootstrap: str) -> dict[str, int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        names = [name for name in await admin.list_topics() if not name.startswith("__")]
        return {found["topic"]: len(found["partitions"]) for found in await admin.describe_topics(names)}
    finally:
        await admin.close()


@needs_java
@pytest.mark.messaging
async def test_an_idempotent_producer_s_records_are_consumed_by_a_group(kafka: LocalBroker):
    await produce(kafka.bootstrap, "greetings")
    assert await read(kafka.bootstrap, "greetings") == [b"1", b"2", b"3"]
    assert (await partitions_of(kafka.bootstrap))["greetings"] == 4


@needs_java
@pytest.mark.messaging
async def test_a_wipe_gives_an_empty_kafka_with_a_new_cluster_id_at_the_same_address(kafka: LocalBroker):
    await produce(kafka.bootstrap, "before")
    address, cluster_id = kafka.bootstrap, kafka.cluster_id
    await kafka.wipe_and_restart()
    assert kafka.bootstrap == address
    assert kafka.cluster_id != cluster_id
    assert await partitions_of(kafka.bootstrap) == {}
    await produce(kafka.bootstrap, "after")
    assert await read(kafka.bootstrap, "after") == [b"1", b"2", b"3"]


@needs_java
@pytest.mark.messaging
@pytest.mark.faults
async def test_records_survive_a_kill_and_a_new_start(tmp_path: Path):
    async with apache_kafka(CACHE, tmp_path) as first:
        await produce(first.bootstrap, "greetings")
        await first.kill()
    async with apache_kafka(CACHE, tmp_path, port=int(first.bootstrap.split(":")[1])) as second:
        assert second.cluster_id == first.cluster_id
        assert await read(second.bootstrap, "greetings") == [b"1", b"2", b"3"]


@needs_java
@pytest.mark.messaging
async def test_in_the_foreground_it_tells_its_address_and_an_interrupt_stops_it(tmp_path: Path, parent: StartParent):
    jars = await resolve_jars(CACHE)
    (tmp_path / jars.name).symlink_to(jars)
    taken = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with taken:
        port = taken.sockets[0].getsockname()[1]
        process = parent(FOREGROUND, "--port", port, "--cache-dir", tmp_path)
        line = await asyncio.to_thread(process.stdout.readline)
        address = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert int(address[1]) != port
        await produce(address[0], "greetings")
        children = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(process.wait, 60) == 0
        assert children
        assert not any(psutil.pid_exists(child.pid) for child in children)


async def test_jars_that_cannot_be_resolved_tell_what_to_do(tmp_path: Path):
    with pytest.raises(LocalStackError, match="run from a checkout"):
        await resolve_jars(tmp_path, tmp_path / "pom.xml")


@needs_java
async def test_a_failing_resolution_leaves_nothing_behind(tmp_path: Path):
    pom = tmp_path / "pom.xml"
    pom.write_text("<project/>")
    with pytest.raises(LocalStackError, match=r"its log .*maven\.log ends"):
        await resolve_jars(tmp_path / "cache", pom)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["maven.log"]
