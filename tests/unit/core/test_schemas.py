"""What is checked in under schemas/ is what the code says."""

from pathlib import Path

import jsonschema_rs
import pytest
from registry_core.events import event_types
from registry_core.schemas import INBOUND, documents, event_path, event_schema

ROOT = Path(__file__).parents[3] / "schemas"


@pytest.fixture(scope="module")
def generated() -> dict[str, str]:
    return dict(documents())


def test_the_checked_in_schemas_are_the_generated_ones(generated: dict[str, str]) -> None:
    stale = [path for path, text in generated.items() if not _same(path, text)]
    assert stale == [], "run `make schemas` and look at what changed"


def _same(path: str, text: str) -> bool:
    return (ROOT / path).is_file() and (ROOT / path).read_text(encoding="utf-8") == text


def test_no_schema_is_left_of_a_type_that_is_gone(generated: dict[str, str]) -> None:
    found = {path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file()}
    assert found - {"released.json"} == set(generated)


@pytest.mark.parametrize("event_type", list(event_types()))
def test_every_event_schema_is_valid_and_closed(event_type: str) -> None:
    schema = event_schema(event_types()[event_type])
    jsonschema_rs.validator_for(schema)
    assert schema["additionalProperties"] is False


def test_asyncapi_names_a_schema_file_for_every_message(generated: dict[str, str]) -> None:
    for event_type in event_types():
        assert event_path(event_type) in generated["asyncapi.yaml"]
    for topic in INBOUND:
        assert topic in generated["asyncapi.yaml"]
