"""The sample advisories hit what they should and nothing else."""

from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import PackageNotFoundError
from typing import Any

import pytest
from cvss import CVSS3
from hallmark_demo.pipeline.advisories import OLD_TORCH, advisory_for_installed, next_patch, old_torch_advisory
from hallmark_demo.pipeline.sbom import installed_libraries
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def affects(advisory: dict[str, Any], version: str) -> bool:
    events = advisory["affected"][0]["ranges"][0]["events"]
    introduced, fixed = Version(events[0]["introduced"]), Version(events[1]["fixed"])
    return introduced <= Version(version) < fixed


def test_the_old_library_is_hit_and_the_repaired_one_is_not() -> None:
    assert affects(old_torch_advisory(), OLD_TORCH.version)
    assert not affects(old_torch_advisory(), "1.13.1")


def test_the_new_advisory_hits_a_component_of_this_environments_sbom() -> None:
    installed = {library.name: library.version for library in installed_libraries()}
    advisory = advisory_for_installed("joblib", now=NOW)
    assert affects(advisory, installed["joblib"])
    assert not affects(advisory, next_patch(installed["joblib"]))
    assert advisory["modified"] == "2026-11-21T09:30:00Z"


@pytest.mark.parametrize("advisory", [old_torch_advisory(), advisory_for_installed("joblib", now=NOW)])
def test_each_is_critical_and_says_that_it_is_a_sample(advisory: dict[str, Any]) -> None:
    assert CVSS3(advisory["severity"][0]["score"]).base_score == Decimal("9.8")
    assert advisory["summary"].startswith("Hallmark sample advisory")
    assert advisory["id"].startswith("HMSA-")
    assert advisory["schema_version"].startswith("1.7")


def test_an_advisory_for_what_is_not_installed_is_refused() -> None:
    with pytest.raises(PackageNotFoundError):
        advisory_for_installed("torch", now=NOW)


NUMBER = st.integers(0, 99)


@given(st.tuples(NUMBER, NUMBER, NUMBER, NUMBER), st.sampled_from(["", "rc1", ".post2", ".dev3", "+local.1"]))
def test_the_next_patch_is_above_its_version(numbers: tuple[int, ...], suffix: str) -> None:
    epoch, *release = numbers
    installed = f"{epoch}!{'.'.join(map(str, release))}{suffix}"
    assert Version(next_patch(installed)) > Version(installed)
