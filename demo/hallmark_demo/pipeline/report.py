"""The evaluation report, document type `application/vnd.hallmark.evaluation+json`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from typing import TypedDict

MEDIA_TYPE = "application/vnd.hallmark.evaluation+json"
FORMAT = "hallmark.evaluation/v1"


class GroupMetrics(TypedDict):
    """What was measured on one group of the held-out rows."""

    group: dict[str, str]
    n: int
    metrics: dict[str, float]


class DatasetUsed(TypedDict):
    """What it was measured on: `digest` of the very file, `n` rows."""

    name: str
    digest: str
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """What one evaluation run yields."""

    suite: str
    metrics: Mapping[str, float]
    dataset: DatasetUsed
    groups: Sequence[GroupMetrics] = field(default=())


def evaluation_report(
    measured: Measurements, *, subject_digest: str, dependencies: Mapping[str, str], evaluated_at: datetime
) -> dict[str, object]:
    """The report as JSON values. `dependencies` are digests by version reference, e.g. of the prompt it ran with."""
    return {
        "format": FORMAT,
        "suite": measured.suite,
        "evaluated_at": evaluated_at.isoformat(),
        "subject": {"digest": subject_digest},
        "dependencies": dict(dependencies),
        "metrics": dict(measured.metrics),
        "groups": list(measured.groups),
        "tool": {"name": "hallmark-demo", "version": version("hallmark-demo")},
        "dataset": measured.dataset,
    }
