"""docs/operations.md is complete: every setting as it is, every alert, every port."""

import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import yaml
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from registry_core.service import ALL
from registry_core.settings import Settings

_WORDS = {str: "text", int: "number", float: "number", bool: "true, false", SecretStr: "secret"}


@pytest.fixture(scope="module")
def guide(root: Path) -> str:
    return (root / "docs/operations.md").read_text()


def table_row(name: str, field: FieldInfo) -> tuple[str, str, str]:
    """Variable, values and default as the guide has to give them."""
    return f"`HALLMARK_{name.upper()}`", _values(field.annotation), _default(field.default)


def _values(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(map(str, get_args(annotation)))
    return _WORDS.get(annotation, "path")


def _default(default: Any) -> str:
    text = default.get_secret_value() if isinstance(default, SecretStr) else "" if default is None else str(default)
    return f"`{text.lower() if isinstance(default, bool) else text}`" if text else ""


def test_the_table_of_settings_is_the_settings(guide: str) -> None:
    rows = [tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in guide.splitlines() if "HALLMARK_" in line]
    written = {row[:3]: row[3] for row in rows if len(row) == 4 and row[0].startswith("`HALLMARK_")}
    expected = [table_row(name, field) for name, field in Settings.model_fields.items()]
    assert list(written) == expected, "docs/operations.md needs these rows, in this order"
    assert all(written.values()), "every setting needs its meaning"


def test_every_alert_has_its_section_and_no_section_is_left_over(guide: str, root: Path) -> None:
    groups = yaml.safe_load((root / "deploy/prometheus/alerts.yml").read_text())["groups"]
    alerts = [rule["alert"] for group in groups for rule in group["rules"]]
    assert re.findall(r"^### (Hallmark\w+)$", guide, re.MULTILINE) == alerts


def test_every_service_and_every_published_port_is_named(guide: str, compose: Any) -> None:
    assert [name for name in ALL if f"| {name} |" not in guide] == []
    ports = [port.rsplit(":", 1)[0] for c in compose["services"].values() for port in c.get("ports", [])]
    assert [port for port in ports if port not in guide] == []


def test_every_file_named_is_there(guide: str, root: Path) -> None:
    named = re.findall(r"`((?:deploy|docs|services|libs)/[\w./-]+)`", guide)
    assert named
    assert [path for path in named if not (root / path).exists()] == []
