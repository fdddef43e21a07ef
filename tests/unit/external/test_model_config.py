"""Configurations are read for what they claim of base model, architecture and code; hostile ones cost nothing."""

import json
from typing import Any

import pytest
from hallmark_ingestion.external.lineage import Imported, links
from hallmark_ingestion.external.model_config import FILES, LARGEST, contradictions, read_configs
from hypothesis import given
from hypothesis import strategies as st
from registry_core.values import storable

OWN = "org/tiny"
COMMIT, OTHER = "a" * 40, "b" * 40


def read(own: str = OWN, **files: Any) -> dict[str, Any]:
    return read_configs({f"{name}.json": json.dumps(said).encode() for name, said in files.items()}, own)


def bases(found: dict[str, Any]) -> list[str]:
    return [base["repository"] for base in found["base_model"]]


def test_a_configuration_names_base_architecture_and_type() -> None:
    found = read(
        config={
            "_name_or_path": "org/base",
            "architectures": ["BertModel"],
            "model_type": "bert",
            "torch_dtype": "float16",
        }
    )
    assert bases(found) == ["org/base"]
    assert (found["architectures"], found["model_type"], found["dtype"]) == (["BertModel"], "bert", "float16")
    assert (found["custom_code"], found["problems"]) == ({}, [])


def test_an_adapter_names_its_base_and_the_revision_of_it() -> None:
    found = read(adapter_config={"base_model_name_or_path": "org/base", "revision": COMMIT})
    assert found["base_model"] == [{"repository": "org/base", "revision": COMMIT}]


@pytest.mark.parametrize("path", ["/home/dana/model", "./out", "C:\\model", "a/b/c", "org/..", "x y"])
def test_a_path_of_somebodys_machine_is_no_base_model(path: str) -> None:
    found = read(config={"_name_or_path": path})
    assert found["base_model"] == []
    assert "names no repository" in found["problems"][0]


def test_a_configuration_that_names_its_own_repository_names_no_base() -> None:
    assert read(config={"_name_or_path": "Org/Tiny"})["base_model"] == []


def test_code_of_the_repository_is_told_with_the_file_that_leads_to_it() -> None:
    found = read(
        config={"auto_map": {"AutoModel": "modeling_x.Model"}},
        tokenizer_config={"auto_map": ["tok.Slow", None]},
    )
    assert found["custom_code"] == {
        "config.json": {"AutoModel": "modeling_x.Model"},
        "tokenizer_config.json": {"AutoTokenizer": "tok.Slow"},
    }


def test_an_auto_map_of_the_wrong_type_still_counts_as_code() -> None:
    found = read(config={"auto_map": "modeling_x.Model"})
    assert found["custom_code"] == {"config.json": {"": "modeling_x.Model"}}
    assert "auto_map is no object" in found["problems"][0]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b" " * (LARGEST + 1), "more than"),
        (b"{", "not read"),
        (b"\xff\xfe\xfa", "not read"),
        (b"[" * 200_000, "not read"),
        (b"[1]", "no JSON object"),
        (b'{"model_type": 7}', "model_type is no short text"),
        (b'{"architectures": "Bert"}', "architectures is no list"),
        (b'{"model_type": "a\\u0000b"}', "model_type is no short text"),
        (b'{"_name_or_path": {"a": 1}}', "_name_or_path is no short text"),
    ],
)
def test_what_cannot_be_read_is_told(content: bytes, problem: str) -> None:
    found = read_configs({"config.json": content}, OWN)
    assert problem in found["problems"][0]
    assert found["base_model"] == []


KEYS = st.sampled_from(
    ["_name_or_path", "base_model_name_or_path", "revision", "auto_map", "architectures", "model_type", "dtype", "x"]
)
LEAVES = st.none() | st.booleans() | st.floats() | st.text()
ANY_JSON = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(st.dictionaries(st.sampled_from(FILES), st.binary() | st.dictionaries(KEYS, ANY_JSON)))
def test_no_configuration_raises_and_what_is_read_can_be_stored(files: dict[str, Any]) -> None:
    contents = {name: said if isinstance(said, bytes) else json.dumps(said).encode() for name, said in files.items()}
    found = read_configs(contents, OWN)
    assert storable(found)
    assert len(json.dumps(found)) < 1024 * 1024


def said(card: list[str], found: dict[str, Any]) -> dict[str, Any]:
    claims = {"base_model": card, "config": found}
    return {**claims, "contradictions": contradictions(claims, found)}


@pytest.mark.parametrize(
    ("card", "config", "told"),
    [
        (["org/base"], "org/base", 0),
        (["Org/Base", "org/more"], "org/base", 0),
        (["google-bert/bert-base-uncased"], "bert-base-uncased", 0),
        ([], "org/base", 0),
        (["org/base"], "org/other", 1),
    ],
)
def test_card_and_configuration_that_name_different_bases_contradict_each_other(
    card: list[str], config: str, told: int
) -> None:
    assert len(said(card, read(config={"_name_or_path": config}))["contradictions"]) == told


def test_two_configurations_with_two_bases_contradict_each_other() -> None:
    found = read(config={"_name_or_path": "org/a"}, adapter_config={"base_model_name_or_path": "org/b"})
    assert "several base models: org/a, org/b" in said([], found)["contradictions"][0]


def base(number: int, commit: str = COMMIT) -> Imported:
    return Imported("org/base", commit, f"model:base@{number}.0.0")


@pytest.mark.parametrize(
    ("revision", "imported", "ref", "why"),
    [
        (None, [], None, "not imported here"),
        (None, [base(1)], "model:base@1.0.0", "no commit is named"),
        ("main", [base(1)], "model:base@1.0.0", "no commit is named"),
        (None, [base(1), base(2, OTHER)], None, "model:base@1.0.0, model:base@2.0.0"),
        (OTHER, [base(1), base(2, OTHER)], "model:base@2.0.0", "the commit that is named"),
        (OTHER, [base(1)], None, "was not imported here, others were"),
        (OTHER, [base(1, OTHER), base(2, OTHER)], None, "several times"),
        ("v1.0", [base(1)], None, "by a word that can move"),
    ],
)
def test_a_base_is_linked_to_a_version_that_is_known_exactly_and_to_no_other(
    revision: str | None, imported: list[Imported], ref: str | None, why: str
) -> None:
    adapter = {"base_model_name_or_path": "org/base", "revision": revision}
    (link,) = links(said(["org/base"], read(adapter_config=adapter)), imported)
    assert (link.ref, why in link.why) == (ref, True), link


def test_where_card_and_configuration_disagree_nothing_is_linked() -> None:
    found = links(said(["org/other"], read(config={"_name_or_path": "org/base"})), [base(1)])
    assert [link.ref for link in found] == [None, None]
