"""A connected source, and what looks at it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hallmark_ingestion.external.observing import Observer
from hallmark_ingestion.external.polling import Poller
from registry_core.service import Platform, open_platform
from registry_core.settings import Settings
from support_external import Place
from support_mlflow import MlflowServer, mlflow_server


@pytest.fixture(scope="session")
async def mlflow(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MlflowServer]:
    """One real server for the run; every test has models of its own."""
    async with mlflow_server(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture
def quick(settings: Settings) -> Settings:
    """Polls happen when a test says so, and wait for no webhook."""
    away = {"kafka_bootstrap": "", "source_poll_seconds": 3600.0, "source_settle_seconds": 0.0}
    return settings.model_copy(update=away)


@pytest.fixture
async def platform(quick: Settings, tmp_path: Path) -> AsyncIterator[Platform]:
    opened = await open_platform(quick)
    yield opened
    opened.terminate()


@pytest.fixture
def place(platform: Platform) -> Place:
    observer = Observer(platform)
    return Place(platform, observer, Poller(platform, observer))
