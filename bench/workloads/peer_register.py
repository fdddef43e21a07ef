"""Registering versions over HTTP, beside MLflow's tracking server."""

import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any
from uuid import uuid4

import asyncpg
from registry_core.local import ports as free

from bench.ingesting import ingestion
from bench.load import Client, clients, server
from bench.place import PEERS, Place
from bench.timing import for_seconds
from bench.workload import Sample, Sides, ratio_at_least, workload

SECONDS = 4.0
CLIENTS = 32
INGESTIONS = 2
"""Processes of ingestion, which scale out as MLflow's four workers do; a client stays with one."""
METADATA = {
    "owner": "dana",
    "backup_owner": "lee",
    "purpose": "Estimates the probability that a loan is repaid",
    "licence": "Apache-2.0",
    "risk_tier": "high",
    "source_repository": "https://git.example.org/lending/credit-risk",
    "source_commit": "0123456789abcdef0123456789abcdef01234567",
}
"""What both sides are told about each version: as metadata here, as tags there."""
DIGEST = "sha256:" + "a" * 64
Register = Callable[[Client, int, int], Coroutine[Any, Any, None]]
"""Client, its number, the version's number."""


@workload("peer_register", "versions/s", ratio_at_least(10))
async def peer_register(place: Place) -> AsyncIterator[Sides]:
    """32 clients register versions with seven fields, each under an Idempotency-Key; MLflow's server, seven tags."""
    numbers = count()
    async with AsyncExitStack() as stack:
        ports, token = await stack.enter_async_context(ingestion(place, INGESTIONS))
        mlflow = await stack.enter_async_context(_mlflow(place))
        headers = {"authorization": f"Bearer {token}"}

        async def to_hallmark(client: Client, number: int, version: int) -> None:
            body = {"ref": f"model:m{number}@1.0.{version}", "digest": DIGEST, "metadata": METADATA}
            await client.post("/v1/versions", body, {**headers, "idempotency-key": str(uuid4())})

        async def to_mlflow(client: Client, number: int, version: int) -> None:
            tags = [{"key": key, "value": value} for key, value in METADATA.items()]
            body = {"name": f"m{number}", "source": f"s3://models/m{number}/{version}", "tags": tags}
            await client.post("/api/2.0/mlflow/model-versions/create", body)

        async def ours() -> Sample:
            return await _registered(ports, numbers, to_hallmark)

        async def reference() -> Sample:
            return await _registered([mlflow], numbers, to_mlflow)

        await reference()  # each of MLflow's workers loads much of itself at its first requests
        yield Sides(ours, reference)


async def _registered(ports: Sequence[int], numbers: Iterator[int], register: Register) -> Sample:
    async with AsyncExitStack() as stack:
        opened = [c for port in ports for c in await stack.enter_async_context(clients(port, CLIENTS // len(ports)))]

        def worker(number: int, client: Client) -> Callable[[], Coroutine[Any, Any, int]]:
            async def one() -> int:
                await register(client, number, next(numbers))
                return 1

            return one

        return await for_seconds(SECONDS, *(worker(number, client) for number, client in enumerate(opened)))


@asynccontextmanager
async def _mlflow(place: Place) -> AsyncIterator[int]:
    """`mlflow server` with its own default of workers, and the models that versions are registered under. The port."""
    name, port = f"mlflow_{uuid4().hex[:8]}", free.choose()
    administrator = await asyncpg.connect(place.server.admin_dsn)
    try:
        await administrator.execute(f"create database {name}")
        store = place.named(name).owner_dsn.replace("postgresql://", "postgresql+psycopg://")
        program = (str(PEERS), "-m", "mlflow", "server", "--backend-store-uri", store, "--host", "127.0.0.1")
        artifacts = ("--default-artifact-root", (place.folder / "mlflow").as_uri(), "--port", str(port))
        patient = ("--uvicorn-opts", "--timeout-worker-healthcheck 300")  # on a busy machine workers start slowly
        env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # the cores are for requests
        async with server(*program, *artifacts, *patient, health="/health", port=port, env=env):
            async with clients(port, 1) as (client,):
                for number in range(CLIENTS):
                    await client.post("/api/2.0/mlflow/registered-models/create", {"name": f"m{number}"})
            yield port
    finally:
        await administrator.execute(f"drop database if exists {name} with (force)")
        await administrator.close()
