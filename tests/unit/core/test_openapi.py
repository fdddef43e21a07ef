"""What clients are made from says what is demanded, and how problems look."""

import json
from pathlib import Path
from typing import Any

import pytest

DOCUMENT: dict[str, Any] = json.loads((Path(__file__).parents[3] / "schemas" / "openapi.json").read_text())
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
SCHEMAS = DOCUMENT["components"]["schemas"]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_every_operation_tells_of_problems_and_of_no_other_errors(operation: dict[str, Any]) -> None:
    errors = {status: answer for status, answer in operation["responses"].items() if status[0] in "45"}
    assert errors.keys() == {"4XX", "5XX"}
    for answer in errors.values():
        (media_type,) = answer["content"]
        assert media_type == "application/problem+json"


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_whatever_writes_a_body_says_of_what_type(operation: dict[str, Any]) -> None:
    for content in operation.get("requestBody", {"content": {}})["content"].values():
        if reference := content["schema"].get("$ref"):
            assert SCHEMAS[reference.rpartition("/")[2]]["additionalProperties"] is False


def test_what_elements_demand_is_told() -> None:
    assert "pattern" in SCHEMAS["NewRoles"]["properties"]["roles"]["items"]


def test_bodies_that_routes_read_themselves_are_told() -> None:
    content = OPERATIONS["POST /v1/events"]["requestBody"]["content"]
    assert set(content) == {"application/cloudevents+json", "application/cloudevents-batch+json"}
    assert OPERATIONS["PUT /v1/versions/{ref}/files/{name}"]["requestBody"]["required"]


def test_what_is_open_to_everybody_says_so() -> None:
    assert OPERATIONS["GET /v1/log/key"]["security"] == [{}]
    assert "security" not in OPERATIONS["POST /v1/events"]
