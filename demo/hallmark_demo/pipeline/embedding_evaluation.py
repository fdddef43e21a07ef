"""Measure the embedding model with a prompt template: integrity of the weights, retrieval, latency, size.

The retrieval set is small and was written for this demo: each of its questions has one passage that answers it, and
the model must rank that passage first among all of them. It tells a broken model or template from a working one; it
does not tell how good the model is at large.
"""

import json
import time
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hallmark_demo.pipeline.artifacts import LocalFile, local_file, total_size
from hallmark_demo.pipeline.latency import call_latency_ms
from hallmark_demo.pipeline.minilm import Encoder, Floats, encode, load_encoder
from hallmark_demo.pipeline.prompts import PromptTemplate
from hallmark_demo.pipeline.report import DatasetUsed, Measurements

SUITE = "embedding-baseline"
DATASET_NAME = "bank-support-retrieval"
LATENCY_ROUNDS = 3


class Pair(NamedTuple):
    """A question and the passage that answers it."""

    question: str
    passage: str


def retrieval_file() -> LocalFile:
    """The retrieval set as it ships: one JSON object a line with `question` and `passage`."""
    return local_file(Path(str(files("hallmark_demo"))) / "data" / "retrieval.jsonl")


def retrieval_pairs(path: Path) -> tuple[Pair, ...]:
    """Every pair of the set."""
    return tuple(Pair(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines())


def evaluate(folder: Path, model_files: tuple[LocalFile, ...], prompt: PromptTemplate) -> Measurements:
    """All metrics of `SUITE`; similarities are cosines, latencies milliseconds per question, size bytes."""
    dataset = retrieval_file()
    pairs = retrieval_pairs(dataset.path)
    questions = [prompt.fill(pair.question) for pair in pairs]
    started = time.perf_counter()
    encoder = load_encoder(folder)
    metrics = {
        "load_ms": (time.perf_counter() - started) * 1e3,
        **integrity(encoder),
        **retrieval(encode(encoder, questions), encode(encoder, [pair.passage for pair in pairs])),
        **call_latency_ms(lambda text: encode(encoder, [text]), questions * LATENCY_ROUNDS),
        "size_bytes": float(total_size(model_files)),
    }
    used: DatasetUsed = {"name": DATASET_NAME, "digest": dataset.file.digest, "n": len(pairs)}
    return Measurements(suite=SUITE, metrics=metrics, dataset=used)


def integrity(encoder: Encoder) -> dict[str, float]:
    """Count the float parameters, and those of them that are NaN or infinite."""
    weights = [t for t in encoder.tensors.values() if np.issubdtype(t.dtype, np.floating)]
    broken = sum(int(np.count_nonzero(~np.isfinite(w))) for w in weights)
    return {"parameters": float(sum(w.size for w in weights)), "non_finite_parameters": float(broken)}


def retrieval(questions: Floats, passages: Floats) -> dict[str, float]:
    """Row i of `questions` belongs to row i of `passages`; both have rows of unit length.

    `retrieval_accuracy` is the share whose own passage ranks first, `mean_reciprocal_rank` as in TREC-8 (Voorhees).
    """
    similarity = questions @ passages.T
    ranks = _ranks(similarity)
    own = np.eye(len(similarity), dtype=np.bool_)
    return {
        "retrieval_accuracy": float(np.mean(ranks == 1)),
        "mean_reciprocal_rank": float(np.mean(1 / ranks)),
        "related_similarity": float(similarity[own].mean()),
        "unrelated_similarity": float(similarity[~own].mean()),
    }


def _ranks(similarity: Floats) -> NDArray[np.int64]:
    """Rank of the diagonal in each row, best is 1; a tie counts against the model."""
    ranks: NDArray[np.int64] = (similarity >= np.diag(similarity)[:, None]).sum(axis=1)
    return ranks
