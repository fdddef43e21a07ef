"""What is measured of the classifier, against figures worked out by hand."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hallmark_demo.pipeline import population, training
from hallmark_demo.pipeline.artifacts import write_json
from hallmark_demo.pipeline.evaluation import bias, evaluate, group_metrics, quality
from hallmark_demo.pipeline.report import DatasetUsed, Measurements, evaluation_report
from hypothesis import given
from hypothesis import strategies as st

EVERYONE = population.load_population()
TRAIN, HELD_OUT = population.split(EVERYONE)


def people(labels: list[int], groups: list[str]) -> population.Population:
    return population.Population(
        feature_names=(), features=np.zeros((len(labels), 0)), labels=np.array(labels), groups=np.array(groups)
    )


def test_bias_is_the_largest_difference_between_groups() -> None:
    groups = group_metrics(np.array([1, 1, 0, 0, 1, 0, 0, 0]), people([1, 1, 0, 0, 1, 1, 0, 0], list("11112222")))
    assert [g["n"] for g in groups] == [4, 4]
    assert bias(groups) == {"demographic_parity_difference": 0.25, "equal_opportunity_difference": 0.5}


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=30))
def test_groups_treated_alike_show_no_bias(rows: list[tuple[int, int]]) -> None:
    labels, predicted = [1, *(r[0] for r in rows)], [1, *(r[1] for r in rows)]
    both = people(labels * 2, ["1"] * len(labels) + ["2"] * len(labels))
    assert set(bias(group_metrics(np.array(predicted * 2), both)).values()) == {0.0}


def test_quality_of_a_hand_worked_example() -> None:
    measured = quality(np.array([1, 0, 1, 0]), np.array([0.9, 0.4, 0.6, 0.1]), np.array([1, 1, 0, 0]))
    assert measured == {"accuracy": 0.5, "roc_auc": 0.75, "recall": 0.5}


def test_held_out_rows_are_not_trained_on_and_keep_the_shares() -> None:
    assert len(TRAIN) + len(HELD_OUT) == len(EVERYONE) == 442
    assert not set(map(bytes, TRAIN.features)) & set(map(bytes, HELD_OUT.features))
    assert abs(TRAIN.labels.mean() - HELD_OUT.labels.mean()) < 0.02
    assert abs((TRAIN.groups == "1").mean() - (HELD_OUT.groups == "1").mean()) < 0.02


def test_the_written_dataset_reads_back_as_the_very_same_numbers(tmp_path: Path) -> None:
    path = population.write_csv(HELD_OUT, tmp_path / "held-out.csv").path
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    assert np.array_equal(table[:, :-1], HELD_OUT.features)
    assert np.array_equal(table[:, -1], HELD_OUT.labels)


def test_the_same_seed_gives_the_same_model_and_another_seed_another() -> None:
    first, again, other = (training.train(TRAIN, training.Hyperparameters(seed=s)) for s in (3, 3, 4))
    scores = [m.predict_proba(HELD_OUT.features) for m in (first, again, other)]
    assert np.array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


def test_the_saved_model_predicts_as_the_trained_one(tmp_path: Path) -> None:
    model = training.train(TRAIN, training.Hyperparameters())
    loaded = training.load_skops(training.save_skops(model, tmp_path / "model.skops").path)
    assert np.array_equal(loaded.predict_proba(HELD_OUT.features), model.predict_proba(HELD_OUT.features))


def test_strong_regularisation_costs_fairness_rather_than_accuracy(tmp_path: Path) -> None:
    def measure(regularisation: float) -> Mapping[str, float]:
        model = training.train(TRAIN, training.Hyperparameters(regularisation=regularisation))
        saved = training.save_skops(model, tmp_path / "model.skops")
        held_out_file = population.write_csv(HELD_OUT, tmp_path / "held-out.csv")
        return evaluate(model, HELD_OUT, model_file=saved, held_out_file=held_out_file).metrics

    usual, strong = measure(1.0), measure(0.01)
    assert abs(usual["accuracy"] - strong["accuracy"]) < 0.02
    assert strong["demographic_parity_difference"] > usual["demographic_parity_difference"] + 0.1
    assert strong["equal_opportunity_difference"] > usual["equal_opportunity_difference"] + 0.1


def test_a_report_names_its_subject_and_what_it_ran_with(tmp_path: Path) -> None:
    now = datetime(2026, 11, 21, 9, tzinfo=UTC)
    dataset: DatasetUsed = {"name": "d", "digest": "sha256:" + "0" * 64, "n": 3}
    measured = Measurements(suite="s", metrics={"accuracy": 0.5}, dataset=dataset)
    report = evaluation_report(
        measured, subject_digest="sha256:x", dependencies={"prompt:p@1.0.0": "d"}, evaluated_at=now
    )
    read = json.loads(write_json(tmp_path / "report.json", report).read_text())
    assert read["subject"] == {"digest": "sha256:x"}
    assert read["dependencies"] == {"prompt:p@1.0.0": "d"}
    assert read["evaluated_at"] == "2026-11-21T09:00:00+00:00"


def test_a_measurement_that_failed_is_not_written_as_a_number(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "report.json", {"metrics": {"accuracy": float("nan")}})
