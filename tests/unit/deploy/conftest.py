"""The deployment's files, read as the tools read them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import yaml
from registry_core.clock import system_clock
from registry_core.objects import ObjectStorage
from registry_core.service import Platform, Service, find_services
from registry_core.settings import Settings

_VARIABLE = re.compile(r"\$\{(?P<name>\w+):\?[^}]*\}")


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).parents[3]


@pytest.fixture(scope="session")
def compose_text(root: Path) -> str:
    return (root / "docker-compose.yml").read_text()


@pytest.fixture(scope="session")
def required_variables(compose_text: str) -> set[str]:
    """Names that must be set before Compose starts anything."""
    return {found["name"] for found in _VARIABLE.finditer(compose_text)}


@pytest.fixture(scope="session")
def compose(compose_text: str) -> Any:
    """docker-compose.yml with a value for every variable."""
    return yaml.safe_load(_VARIABLE.sub(lambda found: f"given{found['name']}", compose_text))


@pytest.fixture(scope="session")
def setting_names() -> set[str]:
    """Every environment variable that is a setting."""
    return {f"HALLMARK_{name.upper()}" for name in Settings.model_fields}


@pytest.fixture
def built(tmp_path: Path) -> Callable[[str], tuple[Platform, Service]]:
    """Builds an installed service on a platform that connects to nothing; its data folder is `tmp_path`."""

    def build(name: str) -> tuple[Platform, Service]:
        (tmp_path / "keys").mkdir()  # as open_platform does
        settings, idle = Settings(data_dir=tmp_path), MagicMock()
        platform = Platform(settings, idle, idle, idle, ObjectStorage.open(settings), system_clock, idle)
        [found] = find_services([name])
        return platform, found(platform)

    return build
