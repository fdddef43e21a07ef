"""`make check` refuses each change of a released event that breaks somebody, says whom and what to do; no other."""

import json
import shutil
import subprocess
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, create_model
from registry_core import compatibility
from registry_core.compatibility import READERS, STORED, breaks, shapes
from registry_core.events import base
from registry_core.events.base import Event, decode
from registry_core.values import Value

SCHEMAS = Path(__file__).parents[3] / "schemas"
TYPE = "io.hallmark.parcel.sent.v1"


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Box(Value):
    width: int
    lid: bool = False


FIELDS: dict[str, Any] = {
    "name": (str, ...),
    "grams": (Annotated[int, Field(ge=1, le=1000)], ...),
    "colour": (Colour, ...),
    "speed": (Literal["slow", "fast"], "slow"),
    "note": (str | None, None),
    "boxes": (tuple[Box, ...], ()),
    "labels": (dict[str, int], ...),
    "code": (Annotated[str, Field(pattern="^[a-z]+$", max_length=8)], ...),
}
BODY = b'{"name":"n","grams":5,"colour":"red","boxes":[{"width":1}],"labels":{"a":1},"code":"abc"}'


def shape(family: str = "parcels", **changed: Any) -> dict[str, Any]:
    """The type with some fields changed; None takes one away."""
    base._REGISTRY.pop(TYPE, None)
    fields = {name: field for name, field in {**FIELDS, **changed}.items() if field is not None}
    create_model("Sent", __base__=Event, __cls_kwargs__={"type": TYPE, "family": family}, **fields)
    return {TYPE: shapes()[TYPE]}


class WideBox(Value):
    width: int
    lid: bool = False
    depth: int | None = None


class DeepBox(Value):
    width: int
    lid: bool = False
    depth: int


class Palette(StrEnum):
    RED = "red"
    BLUE = "blue"
    GREEN = "green"


COMPATIBLE: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a new optional field": {"insured": (bool | None, None)},
    "a new field with a default": {"insured": (bool, False)},
    "a new optional field inside a value": {"boxes": (tuple[WideBox, ...], ())},
    "a description": {"name": (Annotated[str, Field(description="Whose it is.")], ...)},
}
INCOMPATIBLE: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "removed": ({"note": None}, "note", "removed", STORED),
    "renamed": ({"name": None, "owner": (str, "")}, "name", "removed", STORED),
    "retyped": ({"grams": (str, ...)}, "grams", "type changed", STORED),
    "new and required": ({"insured": (bool, ...)}, "insured", "required", STORED),
    "newly required": ({"note": (str | None, ...)}, "note", "required now", STORED),
    "no longer required": ({"name": (str, "")}, "name", "may be absent", READERS),
    "nullable": ({"name": (str | None, ...)}, "name", "besides", READERS),
    "enum narrowed": ({"colour": (Literal["red"], ...)}, "colour", "narrowed", STORED),
    "enum widened": ({"colour": (Palette, ...)}, "colour", "widened", READERS),
    "literal narrowed": ({"speed": (Literal["slow"], "slow")}, "speed", "narrowed", STORED),
    "literal widened": ({"speed": (Literal["slow", "fast", "now"], "slow")}, "speed", "widened", READERS),
    "lower bound tightened": ({"grams": (Annotated[int, Field(ge=2, le=1000)], ...)}, "grams", "minimum", STORED),
    "upper bound tightened": ({"grams": (Annotated[int, Field(ge=1, le=999)], ...)}, "grams", "maximum", STORED),
    "bound loosened": ({"grams": (Annotated[int, Field(ge=0, le=1000)], ...)}, "grams", "minimum", READERS),
    "bound removed": ({"grams": (Annotated[int, Field(ge=1)], ...)}, "grams", "maximum", READERS),
    "bound added": ({"name": (Annotated[str, Field(max_length=9)], ...)}, "name", "maxLength", STORED),
    "pattern changed": (
        {"code": (Annotated[str, Field(pattern="^[a-z0-9]+$", max_length=8)], ...)}, "code", "pattern", STORED,
    ),
    "default changed": ({"speed": (Literal["slow", "fast"], "fast")}, "speed", "default changed", STORED),
    "required inside a value": ({"boxes": (tuple[DeepBox, ...], ())}, "boxes[].depth", "required", STORED),
    "items retyped": ({"boxes": (tuple[int, ...], ())}, "boxes[]", "type changed", STORED),
    "values of a mapping retyped": ({"labels": (dict[str, str], ...)}, "labels{}", "type changed", STORED),
}  # fmt: skip


@pytest.mark.parametrize("changed", COMPATIBLE.values(), ids=COMPATIBLE)
def test_a_change_that_nobody_notices_passes(changed: dict[str, Any]) -> None:
    released = shape()
    assert breaks(released, shape(**changed)) == []
    assert decode(TYPE, BODY)  # a stored event is readable


@pytest.mark.parametrize(("changed", "field", "change", "whom"), INCOMPATIBLE.values(), ids=INCOMPATIBLE)
def test_a_change_that_breaks_somebody_is_found_and_explained(
    changed: dict[str, Any], field: str, change: str, whom: str
) -> None:
    released = shape()
    found = [item for item in breaks(released, shape(**changed)) if item.field == field and change in item.change]
    assert whom in [item.breaks for item in found]
    told = str(found[0])
    assert told.startswith(f"{TYPE}, field {field}: ")
    assert "declare io.hallmark.parcel.sent.v2 with a pure upcaster" in told


def test_a_renamed_field_is_told_as_one() -> None:
    released = shape()
    (found,) = breaks(released, shape(note=None, remark=(str | None, None)))
    assert "renamed to remark" in found.change


def test_a_released_type_never_goes_and_never_changes_its_topic() -> None:
    released = shape()
    (gone,) = breaks(released, {})
    assert (gone.change, gone.breaks) == ("the type is gone", STORED)
    (moved,) = breaks(released, shape(family="letters"))
    assert "topic" in moved.change


def test_a_type_that_was_not_released_may_change() -> None:
    assert breaks({}, shape()) == []


def test_the_events_of_this_code_fit_those_that_were_released() -> None:
    assert compatibility.main("check", SCHEMAS) == 0


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copy(SCHEMAS / "released.json", tmp_path)
    return tmp_path


def _without_a_field(released: dict[str, Any]) -> None:
    released["io.hallmark.version.registered.v1"]["body"]["properties"]["gone"] = {"type": "string"}


def _of_a_type_that_is_gone(released: dict[str, Any]) -> None:
    released["io.hallmark.version.forgotten.v1"] = {"family": "versions", "body": {}}


@pytest.mark.parametrize("spoil", [_without_a_field, _of_a_type_that_is_gone])
def test_the_command_fails_with_the_explanation_and_releases_nothing(
    spoil: Callable[[dict[str, Any]], None], copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    released = compatibility.read(copy)
    spoil(released)  # type: ignore[arg-type]  # read as plain dictionaries
    compatibility.write(copy, released)
    before = (copy / "released.json").read_bytes()
    assert compatibility.main("check", copy) == compatibility.main("release", copy) == 1
    assert "This breaks events stored already. Put io.hallmark.version." in capsys.readouterr().err
    assert (copy / "released.json").read_bytes() == before


def test_make_check_asks_for_it() -> None:
    commands = subprocess.run(
        ["make", "--dry-run", "check"], cwd=SCHEMAS.parent, capture_output=True, text=True, check=True
    ).stdout
    assert "-m registry_core.compatibility check schemas\n" in commands


def test_releasing_takes_in_new_types(copy: Path) -> None:
    shape()
    assert compatibility.main("release", copy) == 0
    assert json.loads((copy / "released.json").read_text())[TYPE]["family"] == "parcels"
