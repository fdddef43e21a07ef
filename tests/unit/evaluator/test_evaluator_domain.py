"""Given a version and a report, which assessment follows."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hallmark_evaluator.domain import assess
from hallmark_evaluator.report import Report, ReportError, check_media_type, parse_report
from hallmark_evaluator.thresholds import SUITES, VALID_DAYS
from hypothesis import given
from hypothesis import strategies as st
from registry_core.events.evidence import EvaluationAssessed
from registry_core.values import Metadata, RiskTier, State
from registry_core.version import Version
from support import NOW

REF = "model:credit-risk@1.0.0"
PROMPT = "prompt:support-query@1.0.0"
DIGEST, OTHER, EVIDENCE = (f"sha256:{c * 64}" for c in "abe")
GOOD = {
    "accuracy": 0.763,
    "roc_auc": 0.853,
    "recall": 0.775,
    "demographic_parity_difference": 0.053,
    "equal_opportunity_difference": 0.155,
    "latency_p99_ms": 3.1,
    "size_bytes": 216_228.0,
}
BIASED = GOOD | {"demographic_parity_difference": 0.233, "equal_opportunity_difference": 0.357}


def document(**changed: Any) -> dict[str, Any]:
    return {
        "format": "hallmark.evaluation/v1",
        "suite": "classifier-baseline",
        "evaluated_at": NOW.isoformat(),
        "subject": {"digest": DIGEST},
        "dependencies": {PROMPT: OTHER},
        "metrics": GOOD,
        "groups": [{"group": {"sex": "1"}, "n": 40, "metrics": {"recall": 0.7}}],
        "tool": {"name": "hallmark-demo", "version": "0.1.0"},
        "dataset": {"name": "held-out", "digest": OTHER, "n": 177},
    } | changed


def report(**changed: Any) -> Report:
    return parse_report(json.dumps(document(**changed)).encode())


def assessed(tier: RiskTier | None = RiskTier.HIGH, registered: dict[str, str] | None = None, **changed: Any):
    version = Version(version=3, ref=REF, digest=DIGEST, state=State.DRAFT, metadata=Metadata(risk_tier=tier))
    return assess(report(**changed), version, evidence_digest=EVIDENCE, registered=registered or {}, now=NOW)


def failed(assessment: EvaluationAssessed) -> list[str]:
    return [result.metric for result in assessment.results if not result.passed]


def test_a_good_report_passes_and_says_by_which_limits() -> None:
    made = assessed()
    assert made.passed
    assert made.problem is None
    assert made.valid_days == VALID_DAYS[RiskTier.HIGH]
    assert made.dependencies == {PROMPT: OTHER}
    accuracy = made.results[0]
    assert (accuracy.metric, accuracy.value, accuracy.threshold, accuracy.direction) == (
        "accuracy", 0.763, 0.70, "at_least",
    )  # fmt: skip


def test_metrics_that_the_suite_does_not_name_are_not_judged() -> None:
    assert "size_bytes" not in {result.metric for result in assessed().results}


@pytest.mark.parametrize("tier", list(RiskTier))
def test_bias_between_groups_fails_at_every_tier(tier: RiskTier) -> None:
    made = assessed(tier, metrics=BIASED)
    assert not made.passed
    assert "equal_opportunity_difference" in failed(made)


def test_a_version_without_a_tier_is_held_against_the_strictest() -> None:
    made = assessed(None)
    assert {r.metric: r.threshold for r in made.results} == {r.metric: r.threshold for r in assessed().results}


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("metric", ["accuracy", "latency_p99_ms"])
def test_a_value_that_is_no_number_fails(metric: str, value: float | None) -> None:
    made = assessed(metrics=GOOD | {metric: value})
    assert failed(made) == [metric]
    assert not made.passed
    assert EvaluationAssessed.model_validate_json(made.encode()) == made


def test_a_missing_metric_fails() -> None:
    made = assessed(metrics={name: value for name, value in GOOD.items() if name != "recall"})
    assert failed(made) == ["recall"]
    assert not made.passed


def test_a_report_about_other_files_is_a_problem_and_no_pass() -> None:
    made = assessed(subject={"digest": OTHER})
    assert not made.passed
    assert "/subject/digest" in (made.problem or "")
    assert made.results == ()


def test_an_unknown_suite_is_a_problem_and_no_pass() -> None:
    made = assessed(suite="my-own")
    assert not made.passed
    assert "known suites: classifier-baseline, embedding-baseline" in (made.problem or "")


def test_a_report_from_the_future_does_not_stay_fresh_for_longer() -> None:
    made = assessed(evaluated_at=(NOW + timedelta(days=1)).isoformat())
    assert "future" in (made.problem or "")
    assert assessed(evaluated_at=(NOW + timedelta(minutes=1)).isoformat()).problem is None


def test_a_report_made_with_another_prompt_than_registered_is_a_problem() -> None:
    assert assessed(registered={PROMPT: OTHER}).passed
    assert PROMPT in (assessed(registered={PROMPT: EVIDENCE}).problem or "")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"metrics": {"accuracy": "0.9"}}, "/metrics/accuracy"),
        ({"metrics": {"accuracy": True}}, "/metrics/accuracy"),
        ({"evaluated_at": "2026-03-01T12:00:00"}, "/evaluated_at"),
        ({"evaluated_at": 0}, "/evaluated_at"),
        ({"subject": {"digest": "abc"}}, "/subject/digest"),
        ({"dependencies": {"prompt": OTHER}}, "/dependencies/prompt"),
        ({"verdict": "passed"}, "/verdict"),
        ({"format": "hallmark.evaluation/v2"}, "/format"),
    ],
)
def test_a_flaw_is_named_where_it_is(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(ReportError, match=told) as raised:
        report(**changed)
    assert raised.value.suite == "classifier-baseline"


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b"[]", b"null", b'{"suite": 3}'])
def test_what_is_no_report_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(ReportError) as raised:
        parse_report(data)
    assert raised.value.suite is None
    assert str(raised.value)


def test_other_media_types_are_refused() -> None:
    check_media_type("application/vnd.hallmark.evaluation+json; charset=utf-8")
    with pytest.raises(ReportError, match=r"application/vnd\.hallmark\.evaluation"):
        check_media_type("text/html")


@given(st.sampled_from(sorted(SUITES)), st.data())
def test_what_passes_at_a_tier_passes_at_every_lower_one(suite: str, data: st.DataObject) -> None:
    names = [threshold.metric for threshold in SUITES[suite]]
    metrics = {
        name: data.draw(st.floats(allow_nan=True) | st.none() | st.sampled_from([0.0, 0.7, 250.0])) for name in names
    }
    passed = [
        assessed(tier, suite=suite, metrics=metrics).passed for tier in (RiskTier.HIGH, RiskTier.MEDIUM, RiskTier.LOW)
    ]
    assert passed == sorted(passed)


@given(st.sampled_from(sorted(SUITES)), st.data())
def test_a_report_passes_only_if_every_threshold_holds(suite: str, data: st.DataObject) -> None:
    metrics = {t.metric: data.draw(st.sampled_from([t.high, t.high + 1, t.high - 1, None])) for t in SUITES[suite]}
    made = assessed(suite=suite, metrics=metrics)
    assert made.passed == all(
        (value := metrics[t.metric]) is not None and (value >= t.high if t.direction == "at_least" else value <= t.high)
        for t in SUITES[suite]
    )
    assert [r.metric for r in made.results] == [t.metric for t in SUITES[suite]]
