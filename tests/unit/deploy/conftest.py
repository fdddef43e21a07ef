"""The deployment's files, read as the tools read them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
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
