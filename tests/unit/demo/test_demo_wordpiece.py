"""The tokenizer agrees with the model's own `tokenizer.json`."""

import pytest
from hallmark_demo.pipeline.model_files import model_folder
from hallmark_demo.pipeline.wordpiece import load_vocabulary, token_ids
from hypothesis import given
from hypothesis import strategies as st

VOCABULARY = load_vocabulary(model_folder() / "vocab.txt")


# Ids computed with the library `tokenizers` 0.23.3 from the model's tokenizer.json.
@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("How do I block my lost card?", [101, 2129, 2079, 1045, 3796, 2026, 2439, 4003, 1029, 102]),
        (
            "Überweisung nach Zürich: naïve café",
            [101, 19169, 19845, 19729, 2290, 6583, 2818, 10204, 1024, 15743, 7668, 102],
        ),
        ("日本 don't", [101, 1864, 1876, 2123, 1005, 1056, 102]),
    ],
)
def test_tokens_are_those_of_the_models_own_tokenizer(text: str, ids: list[int]) -> None:
    assert token_ids(text, VOCABULARY, 256) == ids


@given(st.text(max_size=300), st.integers(2, 40))
def test_any_text_becomes_known_ids_between_its_two_marks(text: str, longest: int) -> None:
    ids = token_ids(text, VOCABULARY, longest)
    assert len(ids) <= longest
    assert (ids[0], ids[-1]) == (VOCABULARY["[CLS]"], VOCABULARY["[SEP]"])
    assert set(ids) <= set(VOCABULARY.values())


def test_a_word_longer_than_the_limit_is_unknown_as_a_whole() -> None:
    assert token_ids("a" * 101, VOCABULARY, 256)[1:-1] == [VOCABULARY["[UNK]"]]
