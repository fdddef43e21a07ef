"""Real PostgreSQL and a real Kafka-protocol broker for every test that needs them, started once per run."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import hypothesis
import pytest
from containers import docker_answers, kafka_container
from registry_core.local.broker import LocalBroker, broker
from registry_core.local.kafka import apache_kafka
from registry_core.local.postgres import LocalPostgres, temporary_postgres
from registry_core.settings import Settings
from registry_core.store import schema
from registry_core.store.connections import Pool
from support_s3 import bucket, s3_server

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # two cores are everybody's
os.environ.setdefault("OMP_NUM_THREADS", "1")
hypothesis.settings.register_profile("hallmark", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("hallmark")
FLAVOUR = os.environ.get("HALLMARK_TEST_KAFKA", "tansu")
"""`make test-kafka` sets it to `kafka`."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two processes share the tests: a file stays in one, and so do all journeys on seven services."""
    for item in items:
        if not item.get_closest_marker("xdist_group"):
            together = "faults" if item.get_closest_marker("faults") else str(item.path)
            item.add_marker(pytest.mark.xdist_group(together))


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHROMIUM_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Any]:
    """A playwright `Browser`."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here; on Debian: apt-get install chromium")
    from playwright.async_api import async_playwright  # only where a browser is wanted

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
async def postgres_server() -> AsyncIterator[LocalPostgres]:
    async with temporary_postgres() as server:
        yield server


@pytest.fixture(scope="session")
async def object_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The endpoint of a real S3 server."""
    async with s3_server(tmp_path_factory.mktemp("s3")) as endpoint:
        yield endpoint


@pytest.fixture(params=["folder", "s3"])
def artifact_store(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Settings of a place for artifacts: once the default folder, once a bucket."""
    return {} if request.param == "folder" else bucket(request.getfixturevalue("object_server"), tmp_path.name)


@pytest.fixture(scope="session")
async def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalBroker]:
    """Tansu; or Apache Kafka when told so: in a container where a Docker engine answers, else from its jars."""
    async with _broker(tmp_path_factory) as running:
        yield running


def _broker(folders: pytest.TempPathFactory) -> AbstractAsyncContextManager[Any]:
    if FLAVOUR != "kafka":
        return broker(folder=folders.mktemp("broker"))
    if docker_answers():
        return kafka_container()
    return apache_kafka(Path(".kafka"), folders.mktemp("kafka"))


@dataclass(frozen=True, slots=True)
class Database:
    """An empty database with the schema installed."""

    owner_dsn: str
    service_dsn: str
    ledger_dsn: str


@pytest.fixture(scope="session")
async def installed(postgres_server: LocalPostgres) -> str:
    """The name of a database with the schema, to be copied: four times as fast as installing it for every test."""
    await postgres_server.database("installed")
    await schema.install(postgres_server.dsn_of("installed", role="postgres"))
    return "installed"


@pytest.fixture
async def database(postgres_server: LocalPostgres, installed: str) -> AsyncIterator[Database]:
    name = f"t{uuid4().hex[:12]}"
    administrator = await asyncpg.connect(postgres_server.admin_dsn)
    try:
        await administrator.execute(f"create database {name} template {installed} strategy file_copy owner hallmark")
        roles = ("postgres", "hallmark_service", "hallmark_ledger")
        yield Database(*(postgres_server.dsn_of(name, role=role) for role in roles))
        with suppress(asyncpg.PostgresError, OSError):  # a test may have killed the server
            await administrator.execute(f"drop database {name} with (force)")
    finally:
        await administrator.close()


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    async with asyncpg.create_pool(database.service_dsn, min_size=1, max_size=8) as connections:
        yield connections


@pytest.fixture
async def ledger_pool(database: Database) -> AsyncIterator[Pool]:
    """As the role that seals."""
    async with asyncpg.create_pool(database.ledger_dsn, min_size=1, max_size=4) as connections:
        yield connections


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.owner_dsn)
    yield connection
    await connection.close()


@pytest.fixture
def settings(database: Database, kafka_broker: LocalBroker, tmp_path: Path) -> Settings:
    """Of a whole installation on the embedded parts."""
    return Settings(
        port=0,
        data_dir=tmp_path / "var",
        postgres_dsn=database.service_dsn,
        postgres_ledger_dsn=database.ledger_dsn,
        postgres_owner_dsn=database.owner_dsn,
        kafka_bootstrap=kafka_broker.bootstrap,
        kafka_flavour=FLAVOUR,
        checkpoint_seconds=0.2,
        sweep_seconds=3600,
        movable_clock=True,
    )
