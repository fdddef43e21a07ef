"""What may stand in references, files and texts."""

from datetime import timedelta

import pytest
from hallmark_ingestion.domain import Asset, Joined, changed_dependencies
from pydantic import TypeAdapter, ValidationError
from registry_core.events.versions import DependantAdded, VersionAdded
from registry_core.values import File, Ref, SemVer, parse_ref, storable
from support import NOW

DIGEST = "sha256:" + "0" * 64
LONGEST = "model:m@" + "1" * 60 + ".0.0"


def newer(than: str, ref: str) -> bool:
    dependant = DependantAdded(dependant="model:m@1.0.0", depends_on=than)
    version = VersionAdded(ref=ref, digest=DIGEST)
    asset = Asset(-1, (Joined(version, NOW),), (Joined(dependant, NOW - timedelta(seconds=1)),))
    return bool(changed_dependencies(asset, version))


@pytest.mark.parametrize(
    "ref", ["prompt:p@" + "9" * 4400 + ".0.0", "prompt:p@" + "9" * 61 + ".0.0", "prompt:p@1.0.٣", "p" * 5000]
)
def test_a_reference_has_bounds(ref: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Ref).validate_python(ref)
    with pytest.raises(ValueError, match="not a version reference") as error:
        parse_ref(ref)
    assert len(str(error.value)) < 400


def test_the_longest_version_is_a_reference() -> None:
    assert TypeAdapter(Ref).validate_python(LONGEST) == LONGEST
    assert TypeAdapter(SemVer).validate_python(parse_ref(LONGEST).version)


@pytest.mark.parametrize(
    ("older", "later"),
    [
        ("9.0.0", "10.0.0"),
        ("1.9.0", "1.10.0"),
        ("1.0.0-rc.9", "1.0.0-rc.10"),
        ("1.0.0-010", "1.0.0-11"),
        ("1.0.0-9", "1.0.0-a"),
        ("1.0.0-a", "1.0.0-a.1"),
        ("1.0.0-rc.1", "1.0.0"),
        ("9" * 59 + ".0.0", "1" + "0" * 59 + ".0.0"),
    ],
)
def test_versions_are_ordered_as_semantic_versioning_says(older: str, later: str) -> None:
    assert newer(f"prompt:p@{older}", f"prompt:p@{later}")
    assert not newer(f"prompt:p@{later}", f"prompt:p@{older}")


def test_a_size_is_a_bigint() -> None:
    assert File(name="m", digest=DIGEST, size=2**63 - 1).size == 2**63 - 1
    with pytest.raises(ValidationError):
        File(name="m", digest=DIGEST, size=2**63)


@pytest.mark.parametrize("value", ["a\0", {"a\ud800": 1}, [{"a": ["\udfff"]}]])
def test_what_postgresql_or_utf8_cannot_hold_is_not_storable(value: object) -> None:
    assert not storable(value)
    assert storable({"a": ["ä", 1, None, "😀"]})
