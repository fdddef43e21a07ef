"""deploy/oidc/compose.yaml lies over docker-compose.yml: services that are there, settings that are there."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from registry_core.oidc.config import OidcConfig
from registry_core.service import ALL
from registry_core.settings import Settings


@pytest.fixture(scope="module")
def overlay(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((root / "deploy/oidc/compose.yaml").read_text())["services"]
    return found


def test_all_that_verify_get_a_way_out_and_the_scanner_none(overlay: dict[str, Any], compose: Any) -> None:
    assert set(overlay) == set(ALL) - {"scanner"}
    for name, service in overlay.items():
        assert set(service["networks"]) <= set(compose["networks"]), name
        assert "outward" in service["networks"]


def test_every_setting_is_one_and_the_secret_is_the_console_s_alone(overlay: dict[str, Any]) -> None:
    for name, service in overlay.items():
        given = {key.removeprefix("HALLMARK_").lower() for key in service["environment"]}
        assert given <= set(Settings.model_fields), name
        assert ("oidc_client_secret" in given) == (name == "console")
    filled = dict.fromkeys(overlay["console"]["environment"], "https://login.example.com")
    named = {key.removeprefix("HALLMARK_").lower(): value for key, value in filled.items()}
    assert OidcConfig.of(Settings(**named)).sign_in is not None
