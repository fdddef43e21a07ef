"""Cards of any kind are read for what they claim; hostile ones are told apart and cost nothing."""

import json
import time

import pytest
from hallmark_ingestion.external.model_card import LARGEST_CARD, WANTED, as_json, read_card
from hypothesis import given
from hypothesis import strategies as st


def card(head: str) -> bytes:
    return f"---\n{head}\n---\n# Model\n".encode()


BOMB = "a: &a [x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(12)
)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (card(BOMB), "YAML aliases"),
        (card("a: " + "[" * 5000 + "]" * 5000), "nested more than"),
        (card("license: " + "x" * 200_000), "at most 131072"),
        (b"---\nlicense: mit\n---\n" + b"#" * LARGEST_CARD, "at most 1048576"),
        (card("- a\n- b"), "should be a dict"),
        (card("!!python/object/apply:os.system ['echo never']"), "could not determine a constructor"),
        (card("license: [unclosed"), "expected"),
        (b"---\nlicense: mit\x00\n---\n", "NUL"),
        (b"\xff\xfe---", "decode"),
        (b"no metadata", "no metadata block"),
        (None, "no README.md"),
        (card("license: {a: b}"), "license is no single name"),
        (card("license: other\nlicense_name: our-own"), "it is called 'our-own'"),
        (card("base_model: {a: b}"), "base_model is no list of names"),
        (card("datasets: [1, 2]"), "datasets is no list of names"),
        (card("metrics: " + "x" * 301), "metrics is no list of names"),
        (card("n: 1" + "0" * 5000), "not read"),
    ],
)
def test_what_cannot_be_read_is_told(content: bytes | None, problem: str) -> None:
    begun = time.monotonic()
    found = read_card(content)
    assert any(problem in told for told in found["problems"]), found["problems"]
    assert time.monotonic() - begun < 5
    as_json(found)


def results(value: str) -> bytes:
    return card(
        f"""model-index:
- name: m
  results:
  - task: {{type: t}}
    dataset: {{type: d, name: D}}
    metrics: [{{type: f1, value: {value}}}]"""
    )


@pytest.mark.parametrize("value", [".nan", ".inf", "true", "'0.9'", "[0.9]", "null", "1" + "0" * 400])
def test_a_score_that_is_no_number_is_no_score(value: str) -> None:
    found = read_card(results(value))
    assert found["results"] == []
    assert "results" in found["missing"]
    assert any("is no number" in told for told in found["problems"])


@pytest.mark.parametrize("value", ["0.9", "1", "-3.5"])
def test_a_score_that_is_a_number_is_kept_with_what_it_is_of(value: str) -> None:
    (result,) = read_card(results(value))["results"]
    named = {"task_type": "t", "dataset_type": "d", "dataset_name": "D", "metric_type": "f1", "verified": False}
    assert result == {**named, "value": float(value)}


def test_what_is_missing_is_named() -> None:
    assert read_card(card("license: mit"))["missing"] == [name for name in WANTED if name != "licence"]


@given(st.binary(max_size=300) | st.text(max_size=300).map(card))
def test_no_card_makes_it_fail(content: bytes) -> None:
    json.loads(as_json(read_card(content)))
