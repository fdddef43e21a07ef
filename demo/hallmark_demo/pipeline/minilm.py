"""all-MiniLM-L6-v2 in NumPy: a BERT encoder (Devlin et al. 2018), mean pooling, unit length.

It exists so that the real model can be measured where no deep-learning framework is installed; a batch of short texts
takes milliseconds. Held by a test to the similarities that the sentence-transformers documentation prints.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from scipy.special import erf

from hallmark_demo.pipeline.wordpiece import Vocabulary, load_vocabulary, token_ids

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """Weights by tensor name, float32 but for the integer `embeddings.position_ids`; sizes from the configuration."""

    tensors: Mapping[str, Floats]
    vocabulary: Vocabulary
    layers: int
    heads: int
    epsilon: float
    max_length: int


def load_encoder(folder: Path) -> Encoder:
    """Read the model from a folder in the Hugging Face layout. Nothing of it is executed."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    sentence = json.loads((folder / "sentence_bert_config.json").read_text(encoding="utf-8"))
    return Encoder(
        tensors=load_file(folder / "model.safetensors"),
        vocabulary=load_vocabulary(folder / "vocab.txt"),
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        epsilon=config["layer_norm_eps"],
        max_length=sentence["max_seq_length"],
    )


def encode(encoder: Encoder, texts: Sequence[str]) -> Floats:
    """Embed texts: (n, 384), rows of unit length, so that a dot product is the cosine similarity."""
    ids, mask = _batch(encoder, texts)
    hidden = _embed(encoder, ids)
    for layer in range(encoder.layers):
        hidden = _layer(encoder, f"encoder.layer.{layer}", hidden, mask)
    pooled = (hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
    unit: Floats = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    return unit


def _batch(encoder: Encoder, texts: Sequence[str]) -> tuple[NDArray[np.int64], Floats]:
    """Token ids (n, longest) padded with 0, and a mask of the same shape: 1 for a token, 0 for padding."""
    rows = [token_ids(text, encoder.vocabulary, encoder.max_length) for text in texts]
    ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    mask = np.zeros(ids.shape, dtype=np.float32)
    for i, row in enumerate(rows):
        ids[i, : len(row)], mask[i, : len(row)] = row, 1
    return ids, mask


def _embed(encoder: Encoder, ids: NDArray[np.int64]) -> Floats:
    table = encoder.tensors
    words = table["embeddings.word_embeddings.weight"][ids]
    places = table["embeddings.position_embeddings.weight"][: ids.shape[1]]
    return _norm(encoder, "embeddings.LayerNorm", words + places + table["embeddings.token_type_embeddings.weight"][0])


def _layer(encoder: Encoder, name: str, hidden: Floats, mask: Floats) -> Floats:
    """One transformer layer, (n, length, 384) to the same shape; normalised after each residual."""
    attended = _linear(encoder, f"{name}.attention.output.dense", _attention(encoder, name, hidden, mask))
    hidden = _norm(encoder, f"{name}.attention.output.LayerNorm", hidden + attended)
    inner = _gelu(_linear(encoder, f"{name}.intermediate.dense", hidden))
    return _norm(encoder, f"{name}.output.LayerNorm", hidden + _linear(encoder, f"{name}.output.dense", inner))


def _attention(encoder: Encoder, name: str, hidden: Floats, mask: Floats) -> Floats:
    query, key, value = (
        _split_heads(_linear(encoder, f"{name}.attention.self.{part}", hidden), encoder.heads)
        for part in ("query", "key", "value")
    )
    scores = query @ key.swapaxes(-1, -2) / np.float32(np.sqrt(query.shape[-1]))
    scores = np.where(mask[:, None, None, :] > 0, scores, np.float32(-1e9))
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    mixed = weights / weights.sum(axis=-1, keepdims=True) @ value
    joined: Floats = mixed.swapaxes(1, 2).reshape(hidden.shape)
    return joined


def _split_heads(x: Floats, heads: int) -> Floats:
    """(n, length, width) to (n, heads, length, width / heads)."""
    return x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)


def _linear(encoder: Encoder, name: str, x: Floats) -> Floats:
    return x @ encoder.tensors[f"{name}.weight"].T + encoder.tensors[f"{name}.bias"]


def _norm(encoder: Encoder, name: str, x: Floats) -> Floats:
    centred = x - x.mean(axis=-1, keepdims=True)
    scale = np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + np.float32(encoder.epsilon))
    normed: Floats = centred / scale * encoder.tensors[f"{name}.weight"] + encoder.tensors[f"{name}.bias"]
    return normed


def _gelu(x: Floats) -> Floats:
    """The exact form, as the model was trained with."""
    activated: Floats = x * np.float32(0.5) * (1 + erf(x / np.float32(np.sqrt(2))))
    return activated
