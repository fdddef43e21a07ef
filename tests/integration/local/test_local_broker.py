"""The embedded broker: it is ours, it empties, it steps aside for others and never outlives its parent for ever."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from registry_core.local.broker import broker
from registry_core.local.errors import LocalStackError
from registry_core.local.ports import choose

StartParent = Callable[..., "subprocess.Popen[str]"]
Gone = Callable[[int], Awaitable[bool]]
pytestmark = pytest.mark.messaging

PARENT = """
    import asyncio, sys
    from pathlib import Path
    from registry_core.local import processes
    from registry_core.local.broker import broker

    async def main():
        async with broker(folder=Path(sys.argv[1])) as running:
            print(running.pid, flush=True)
            await asyncio.Event().wait()

    if sys.argv[2] == "no-death-signal":
        processes._prctl = None
    asyncio.run(main())
"""


async def cluster_id(bootstrap: str) -> str:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return (await admin.describe_cluster())["cluster_id"]
    finally:
        await admin.close()


async def topics(bootstrap: str) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return await admin.list_topics()
    finally:
        await admin.close()


async def produce(bootstrap: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait("greetings", b"hello")


async def test_it_serves_under_the_cluster_id_that_it_was_given(folder: Path):
    async with broker(folder=folder) as running:
        assert await cluster_id(running.bootstrap) == running.cluster_id
        await produce(running.bootstrap)
        async with AIOKafkaConsumer(
            "greetings", bootstrap_servers=running.bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=20
        ) as consumer:
            assert (await asyncio.wait_for(consumer.getone(), 10)).value == b"hello"
    assert not psutil.pid_exists(running.pid)
    assert not list(folder.glob("*.pid"))


async def test_a_wipe_gives_an_empty_broker_with_a_new_cluster_id_at_the_same_address(folder: Path):
    async with broker(folder=folder) as running:
        await produce(running.bootstrap)
        before = running.bootstrap, running.cluster_id, running.pid
        assert await topics(running.bootstrap) == ["greetings"]
        await running.wipe_and_restart()
        assert running.bootstrap == before[0]
        assert running.cluster_id != before[1]
        assert running.pid != before[2]
        assert await cluster_id(running.bootstrap) == running.cluster_id
        assert await topics(running.bootstrap) == []


async def test_a_killed_broker_can_be_started_again(folder: Path):
    async with broker(folder=folder) as running:
        pid = running.pid
        await running.kill()
        assert not psutil.pid_exists(pid)
        await running.wipe_and_restart()
        await produce(running.bootstrap)


async def test_a_free_port_is_used(folder: Path):
    port = choose()
    async with broker(port=port, folder=folder) as running:
        assert running.bootstrap == f"127.0.0.1:{port}"


async def test_two_brokers_that_want_one_port_get_two(folder: Path):
    async with broker(folder=folder) as first:
        port = int(first.bootstrap.split(":")[1])
        async with broker(port=port, folder=folder) as second:
            assert second.bootstrap != first.bootstrap
            assert await cluster_id(first.bootstrap) == first.cluster_id
            assert await cluster_id(second.bootstrap) == second.cluster_id


async def test_a_port_taken_at_the_last_moment_is_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Tansu panics, and yet exits with 0 after saying that it listens."""
    async with broker(folder=folder) as first:
        taken, free = int(first.bootstrap.split(":")[1]), choose()
        choices = iter((taken, taken, free))
        monkeypatch.setattr("registry_core.local.ports.choose", lambda _: next(choices))
        async with broker(port=taken, folder=folder) as second:
            assert second.bootstrap == f"127.0.0.1:{free}"
            assert await cluster_id(second.bootstrap) == second.cluster_id


async def test_a_stranger_on_the_port_after_a_kill_is_told_and_not_mistaken_for_ours(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("registry_core.local.broker._PAUSE", 0)
    async with broker(folder=folder) as running:
        await running.kill()
        port = int(running.bootstrap.split(":")[1])
        async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port):
            with pytest.raises(LocalStackError, match=f"port {port}; see which program listens"):
                await running.wipe_and_restart()


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
async def test_the_broker_ends_with_its_killed_parent(folder: Path, parent: StartParent, gone: Gone):
    process = parent(PARENT, folder, "death-signal")
    pid = int(process.stdout.readline())
    process.kill()
    assert await gone(pid)


@pytest.mark.faults
async def test_an_orphan_is_stopped_by_the_next_start_and_a_living_neighbour_is_not(
    folder: Path, parent: StartParent, gone: Gone
):
    orphaned, neighbour = parent(PARENT, folder, "no-death-signal"), parent(PARENT, folder, "death-signal")
    orphan, other = (int(process.stdout.readline()) for process in (orphaned, neighbour))
    orphaned.kill()
    orphaned.wait()
    assert psutil.pid_exists(orphan)
    async with broker(folder=folder) as running:
        assert await gone(orphan)
        assert psutil.pid_exists(other)
        assert len(list(folder.glob("*.pid"))) == 2
        await produce(running.bootstrap)
