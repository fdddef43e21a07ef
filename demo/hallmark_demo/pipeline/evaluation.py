"""Measure the classifier on held-out rows: quality, bias between groups, latency, size."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    recall_score,
    roc_auc_score,
)

from hallmark_demo.pipeline.artifacts import LocalFile
from hallmark_demo.pipeline.latency import call_latency_ms
from hallmark_demo.pipeline.population import DATASET_NAME, GROUP, Population
from hallmark_demo.pipeline.report import DatasetUsed, GroupMetrics, Measurements

SUITE = "classifier-baseline"
LATENCY_CALLS = 300


def evaluate(model: Any, held_out: Population, *, model_file: LocalFile, held_out_file: LocalFile) -> Measurements:
    """All metrics of `SUITE`; rates are 0-1, latencies milliseconds per prediction, size bytes."""
    predicted = model.predict(held_out.features)
    groups = group_metrics(predicted, held_out)
    metrics = {
        **quality(predicted, model.predict_proba(held_out.features)[:, 1], held_out.labels),
        **bias(groups),
        **latency(model, held_out),
        "size_bytes": float(model_file.path.stat().st_size),
    }
    dataset: DatasetUsed = {"name": f"{DATASET_NAME}/held-out", "digest": held_out_file.file.digest, "n": len(held_out)}
    return Measurements(suite=SUITE, metrics=metrics, dataset=dataset, groups=groups)


def quality(predicted: NDArray[np.int64], scores: NDArray[np.float64], labels: NDArray[np.int64]) -> dict[str, float]:
    """Accuracy, area under the ROC curve, recall of label 1."""
    return {
        "accuracy": float(accuracy_score(labels, predicted)),
        "roc_auc": float(roc_auc_score(labels, scores)),
        "recall": float(recall_score(labels, predicted)),
    }


def group_metrics(predicted: NDArray[np.int64], population: Population) -> tuple[GroupMetrics, ...]:
    """Per group: its size, the share predicted 1 (selection rate), recall and accuracy."""
    return tuple(
        _one_group(str(group), predicted[population.groups == group], population.labels[population.groups == group])
        for group in np.unique(population.groups)
    )


def _one_group(group: str, predicted: NDArray[np.int64], labels: NDArray[np.int64]) -> GroupMetrics:
    metrics = {
        "selection_rate": float(np.mean(predicted)),
        "recall": float(recall_score(labels, predicted)),
        "accuracy": float(accuracy_score(labels, predicted)),
    }
    return {"group": {GROUP: group}, "n": len(labels), "metrics": metrics}


def bias(groups: tuple[GroupMetrics, ...]) -> dict[str, float]:
    """Largest difference between groups in selection rate (demographic parity) and in recall (equal opportunity).

    Definitions: Hardt, Price, Srebro 2016; the names are Fairlearn's.
    """
    return {
        "demographic_parity_difference": _spread(groups, "selection_rate"),
        "equal_opportunity_difference": _spread(groups, "recall"),
    }


def _spread(groups: tuple[GroupMetrics, ...], metric: str) -> float:
    values = [g["metrics"][metric] for g in groups]
    return max(values) - min(values)


def latency(model: Any, population: Population) -> dict[str, float]:
    """Of predicting one patient at a time."""
    rows = (population.features[[i % len(population)]] for i in range(LATENCY_CALLS))
    return call_latency_ms(model.predict, rows)
