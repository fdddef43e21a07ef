"""An evaluation report held against the thresholds of its version's risk tier. Pure."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from registry_core.events.evidence import EvaluationAssessed, MetricResult
from registry_core.values import EvidenceType, RiskTier
from registry_core.version import Version

from hallmark_evaluator.report import Report, ReportError
from hallmark_evaluator.thresholds import STRICTEST, SUITES, VALID_DAYS, Threshold

CLOCK_SKEW: Final = timedelta(minutes=5)
UNREADABLE: Final = "unreadable"
"""Suite of a report that does not even say which suite it is of."""


def assess(
    report: Report, version: Version, *, evidence_digest: str, registered: Mapping[str, str], now: datetime
) -> EvaluationAssessed:
    """What the report says of the version. `registered`: checksums of the report's dependencies known here, by ref.

    A report that does not speak of this version, or by rules unknown here, is a `problem` and no pass.
    """
    tier = version.metadata.risk_tier or STRICTEST
    problem = _problem(report, version, registered, now)
    results = () if problem else tuple(_result(t, report.metrics.get(t.metric), tier) for t in SUITES[report.suite])
    return EvaluationAssessed(
        ref=version.ref,
        evidence_digest=evidence_digest,
        suite=report.suite,
        passed=problem is None and all(result.passed for result in results),
        results=results,
        dependencies=report.dependencies,
        evaluated_at=report.evaluated_at,
        valid_days=VALID_DAYS[tier],
        problem=problem,
    )


def unusable(ref: str, error: ReportError, *, evidence_digest: str, now: datetime) -> EvaluationAssessed:
    """The assessment of something that is no report."""
    return EvaluationAssessed(
        ref=ref,
        evidence_digest=evidence_digest,
        suite=error.suite or UNREADABLE,
        passed=False,
        evaluated_at=now,
        valid_days=1,
        problem=str(error),
    )


def superseded(version: Version, suite: str, evidence_digest: str) -> bool:
    """Whether a report that was attached later has been assessed already: then this one has nothing more to say."""
    assessed = version.evaluations.get(suite)
    order = {item.digest: place for place, item in enumerate(version.of_type(EvidenceType.EVALUATION))}
    return assessed is not None and order.get(assessed.evidence_digest, -1) > order.get(evidence_digest, -1)


def _problem(report: Report, version: Version, registered: Mapping[str, str], now: datetime) -> str | None:
    if report.subject.digest != version.digest:
        return (
            f"/subject/digest is {report.subject.digest}, the version's checksum is {version.digest}: "
            "evaluate the registered files, and attach that report"
        )
    if report.suite not in SUITES:
        return f"/suite {report.suite} has no thresholds here; known suites: {', '.join(sorted(SUITES))}"
    if report.evaluated_at > now + CLOCK_SKEW:
        return f"/evaluated_at {report.evaluated_at.isoformat()} lies in the future; it is {now.isoformat()}"
    other = [ref for ref, digest in report.dependencies.items() if registered.get(ref, digest) != digest]
    if other:
        return f"/dependencies/{other[0]} was run with other content than is registered ({registered[other[0]]})"
    return None


def _result(threshold: Threshold, measured: float | None, tier: RiskTier) -> MetricResult:
    value = measured if measured is not None and math.isfinite(measured) else None
    return MetricResult(
        metric=threshold.metric,
        value=value,
        threshold=threshold.limit(tier),
        direction=threshold.direction,
        passed=threshold.holds(value, tier),
    )
