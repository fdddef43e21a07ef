"""Apache Kafka in a container, where a Docker engine answers; elsewhere it runs from its jars."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import docker
from docker.errors import DockerException
from registry_core.local import ports
from testcontainers.community.kafka import KafkaContainer

IMAGE = "confluentinc/cp-kafka:8.0.0"
"""Apache Kafka 4.0; the image that testcontainers knows how to start."""
_INNER_PORT = 9093


def docker_answers() -> bool:
    try:
        client = docker.from_env(timeout=5)
        return bool(client.ping())
    except DockerException:
        return False


class ContainerBroker:
    """The same as `registry_core.local.broker.LocalBroker`, as far as tests use it."""

    def __init__(self, port: int) -> None:
        self.bootstrap = f"127.0.0.1:{port}"
        self._port = port
        self._container: KafkaContainer | None = None

    async def start(self) -> None:
        container = KafkaContainer(IMAGE, port=_INNER_PORT).with_kraft().with_bind_ports(_INNER_PORT, self._port)
        self._container = await asyncio.to_thread(container.start)

    async def stop(self) -> None:
        if self._container:
            await asyncio.to_thread(self._container.stop)

    async def wipe_and_restart(self) -> None:
        """A new container at the same address knows nothing of the old."""
        await self.stop()
        await self.start()


@asynccontextmanager
async def kafka_container() -> AsyncIterator[ContainerBroker]:
    broker = ContainerBroker(ports.choose())
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()
