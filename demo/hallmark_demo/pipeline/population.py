"""The scored population: 442 diabetes patients (Efron, Hastie, Johnstone, Tibshirani 2004), bundled with scikit-learn.

It stands in for a bank's customers because it is the one bundled set that records a protected attribute of real
persons: their sex, coded 1 and 2 (the publication does not say which is which, so neither do we). The label is 1 for
patients whose disease progressed further in a year than the median patient's. The split is fixed, so that every
version is trained on the same rows and measured on the same held-out rows.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from hallmark_demo.pipeline.artifacts import LocalFile, local_file

DATASET_NAME = "diabetes-progression"
DATASET_VERSION = "1.0.0"
DATASET_REF = f"dataset:{DATASET_NAME}@{DATASET_VERSION}"
GROUP = "sex"
HELD_OUT_SHARE = 0.4
_SPLIT_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """`features` (n, 10) float64 in clinical units; `labels` (n,) 0 or 1; `groups` (n,) the recorded sex, 1 or 2."""

    feature_names: tuple[str, ...]
    features: NDArray[np.float64]
    labels: NDArray[np.int64]
    groups: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, index: NDArray[np.int64]) -> "Population":
        """The patients at these positions."""
        return Population(
            feature_names=self.feature_names,
            features=self.features[index],
            labels=self.labels[index],
            groups=self.groups[index],
        )


def load_population() -> Population:
    """All 442 patients."""
    bunch = load_diabetes(scaled=False)
    names = tuple(map(str, bunch.feature_names))
    return Population(
        feature_names=names,
        features=bunch.data,
        labels=(bunch.target > np.median(bunch.target)).astype(np.int64),
        groups=bunch.data[:, names.index(GROUP)].astype(np.int64).astype(np.str_),
    )


def split(population: Population) -> tuple[Population, Population]:
    """Training rows and held-out rows, with the same shares of label and group in both."""
    strata = np.char.add(population.labels.astype(np.str_), population.groups)
    train, held_out = train_test_split(
        np.arange(len(population)), test_size=HELD_OUT_SHARE, random_state=_SPLIT_SEED, stratify=strata
    )
    return population.rows(train), population.rows(held_out)


def write_csv(population: Population, path: Path) -> LocalFile:
    """Features and label, one patient a line, with digits enough to read back the very same numbers."""
    table = np.column_stack([population.features, population.labels])
    header = ",".join((*population.feature_names, "label"))
    np.savetxt(path, table, fmt="%.17g", delimiter=",", header=header, comments="")
    return local_file(path)
