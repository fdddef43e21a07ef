"""The SBOM is valid CycloneDX 1.6 and tells what is installed."""

import json
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import jsonschema_rs
import pytest
from hallmark_demo.pipeline.artifacts import local_file
from hallmark_demo.pipeline.sbom import DescribedModel, Library, build_sbom, installed_libraries, purls
from hypothesis import given, settings
from hypothesis import strategies as st

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
SCHEMAS = "http://cyclonedx.org/schema"


def shipped(name: str) -> Any:
    return json.loads((files("cyclonedx") / "schema" / "_res" / f"{name}.SNAPSHOT.schema.json").read_text())


@cache
def cyclonedx() -> jsonschema_rs.Validator:
    """The library ships its schemas renamed; they refer to each other under both names."""
    registry = jsonschema_rs.Registry(
        [
            (f"{SCHEMAS}/{name}{infix}.schema.json", shipped(name))
            for name in ("spdx", "jsf-0.82", "cryptography-defs")
            for infix in ("", ".SNAPSHOT")
        ]
    )
    return jsonschema_rs.validator_for(shipped("bom-1.6"), registry=registry)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> DescribedModel:
    folder = tmp_path_factory.mktemp("model")
    for name in ("a.bin", "b.bin"):
        (folder / name).write_text(name)
    return DescribedModel(
        name="m",
        version="1.0.0",
        licence="Apache-2.0",
        task="tabular-classification",
        files=tuple(local_file(folder / name) for name in ("a.bin", "b.bin")),
        metrics={"accuracy": 0.75},
    )


def test_the_environments_sbom_is_valid(model: DescribedModel) -> None:
    assert cyclonedx().is_valid(build_sbom(model, installed_libraries(), now=NOW))


def test_the_schema_does_refuse_a_broken_sbom(model: DescribedModel) -> None:
    assert not cyclonedx().is_valid({**build_sbom(model, (), now=NOW), "components": [{"name": "no type"}]})


@settings(max_examples=50)
@given(name=st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,20}[A-Za-z0-9]", fullmatch=True), twice=st.booleans())
def test_any_extra_library_keeps_it_valid(model: DescribedModel, name: str, twice: bool) -> None:
    extra = Library(name=name, version="1.0")
    assert cyclonedx().is_valid(build_sbom(model, [extra] * (1 + twice), now=NOW))


def test_installed_libraries_have_their_version_purl_and_licence(model: DescribedModel) -> None:
    components = build_sbom(model, installed_libraries(), now=NOW)["components"]
    by_name = {c["name"]: c for c in components}
    assert by_name["joblib"]["purl"] == f"pkg:pypi/joblib@{version('joblib')}"
    assert by_name["joblib"]["licenses"] == [{"expression": "BSD-3-Clause"}]
    assert len({c["bom-ref"] for c in components}) == len(components)


def test_a_package_url_uses_the_normalised_name() -> None:
    assert Library(name="Foo_Bar.baz", version="1").purl == "pkg:pypi/foo-bar-baz@1"
    assert purls("scikit_learn") == purls("scikit-learn")


def test_the_model_is_what_it_describes_with_hashes_and_measurements(model: DescribedModel) -> None:
    described = build_sbom(model, (), now=NOW)["metadata"]["component"]
    assert described["type"] == "machine-learning-model"
    assert len(described["hashes"][0]["content"]) == 64
    assert [f["hashes"][0]["content"] for f in described["components"]] == [f.file.digest[7:] for f in model.files]
    metrics = described["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert metrics == [{"type": "accuracy", "value": "0.75"}]


def test_the_same_input_gives_the_same_document(model: DescribedModel) -> None:
    assert build_sbom(model, (), now=NOW) == build_sbom(model, (), now=NOW)
