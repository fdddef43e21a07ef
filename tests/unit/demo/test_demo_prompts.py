"""The prompt template as an asset."""

import pytest
from hallmark_demo.pipeline.prompts import VERSIONS, prompt_template
from hypothesis import given
from hypothesis import strategies as st


def test_the_versions_differ_in_content() -> None:
    assert len({prompt_template(v).content.file.digest for v in VERSIONS}) == len(VERSIONS)


@given(st.sampled_from(VERSIONS), st.text(min_size=1).filter(lambda t: t == t.strip()))
def test_a_question_is_inserted_as_it_is(version: str, question: str) -> None:
    assert prompt_template(version).fill(question).endswith(question)


def test_a_question_is_not_read_as_a_template() -> None:
    assert "$question ${question} $$" in prompt_template("1.0.0").fill("$question ${question} $$")


def test_an_unknown_version_tells_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"1\.0\.0, 1\.1\.0"):
        prompt_template("2.0.0")
