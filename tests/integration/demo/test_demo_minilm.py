"""The real 90 MB model, read and run in NumPy."""

import numpy as np
import pytest
from hallmark_demo.pipeline.embedding_evaluation import integrity, retrieval, retrieval_file, retrieval_pairs
from hallmark_demo.pipeline.minilm import Encoder, encode, load_encoder
from hallmark_demo.pipeline.model_files import embedding_files, model_folder
from registry_core.values import content_digest


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder(model_folder())


def test_similarities_are_those_the_models_makers_print(encoder: Encoder) -> None:
    """From the quick start of the sentence-transformers documentation, which prints four digits."""
    rows = encode(encoder, ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."])
    printed = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
    assert np.abs(rows @ rows.T - printed).max() < 1e-4


def test_padding_does_not_change_an_embedding(encoder: Encoder) -> None:
    short = "My card is gone"
    alone, beside = encode(encoder, [short])[0], encode(encoder, [short, "a much longer sentence " * 9])[0]
    assert np.abs(alone - beside).max() < 1e-5


def test_every_embedding_has_unit_length_even_of_nothing(encoder: Encoder) -> None:
    lengths = np.linalg.norm(encode(encoder, ["", "x", "word " * 400]), axis=1)
    assert np.allclose(lengths, 1)


def test_related_pairs_are_nearer_than_unrelated_ones(encoder: Encoder) -> None:
    pairs = retrieval_pairs(retrieval_file().path)
    measured = retrieval(encode(encoder, [p.question for p in pairs]), encode(encoder, [p.passage for p in pairs]))
    assert measured["related_similarity"] > measured["unrelated_similarity"] + 0.2
    assert measured["retrieval_accuracy"] > 0.5


def test_an_encoder_that_tells_nothing_apart_retrieves_nothing() -> None:
    same = np.ones((4, 3), dtype=np.float32) / np.sqrt(np.float32(3))
    assert retrieval(same, same)["retrieval_accuracy"] == 0


def test_all_weights_are_finite_numbers(encoder: Encoder) -> None:
    assert integrity(encoder) == {"parameters": 22713216.0, "non_finite_parameters": 0.0}


def test_a_damaged_weight_is_counted(encoder: Encoder) -> None:
    tensors = dict(encoder.tensors)
    tensors["pooler.dense.bias"] = np.full_like(tensors["pooler.dense.bias"], np.nan)
    damaged = type(encoder)(tensors=tensors, vocabulary={}, layers=6, heads=12, epsilon=1e-12, max_length=256)
    assert integrity(damaged)["non_finite_parameters"] == 384


def test_the_files_to_register_have_names_a_version_may_have() -> None:
    files = embedding_files()
    assert {"model.safetensors", "config.json", "vocab.txt", "README.md"} <= {f.file.name for f in files}
    assert content_digest(f.file for f in files).startswith("sha256:")
