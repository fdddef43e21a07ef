"""What each suite must reach at each risk tier, as data.

General limits, chosen before any model was measured: a rate below the high tier's is one that a reviewer would have to
argue for. Rates are 0-1, latencies milliseconds. A higher tier is never laxer than a lower one (a test holds this).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from registry_core.values import RiskTier


@dataclass(frozen=True, slots=True)
class Threshold:
    """One metric's limit, itself included."""

    metric: str
    direction: Literal["at_least", "at_most"]
    low: float
    medium: float
    high: float

    def limit(self, tier: RiskTier) -> float:
        return {RiskTier.LOW: self.low, RiskTier.MEDIUM: self.medium, RiskTier.HIGH: self.high}[tier]

    def holds(self, value: float | None, tier: RiskTier) -> bool:
        """Whether the value is there and within the limit."""
        if value is None:
            return False
        limit = self.limit(tier)
        return value >= limit if self.direction == "at_least" else value <= limit


SUITES: Final[Mapping[str, tuple[Threshold, ...]]] = {
    "classifier-baseline": (
        Threshold("accuracy", "at_least", low=0.60, medium=0.65, high=0.70),
        Threshold("roc_auc", "at_least", low=0.65, medium=0.70, high=0.75),
        Threshold("recall", "at_least", low=0.50, medium=0.60, high=0.65),
        Threshold("demographic_parity_difference", "at_most", low=0.25, medium=0.20, high=0.15),
        Threshold("equal_opportunity_difference", "at_most", low=0.35, medium=0.30, high=0.25),
        Threshold("latency_p99_ms", "at_most", low=1000, medium=500, high=250),
    ),
    "embedding-baseline": (
        Threshold("non_finite_parameters", "at_most", low=0, medium=0, high=0),
        Threshold("retrieval_accuracy", "at_least", low=0.50, medium=0.55, high=0.60),
        Threshold("mean_reciprocal_rank", "at_least", low=0.60, medium=0.65, high=0.70),
        Threshold("latency_p99_ms", "at_most", low=10_000, medium=5_000, high=3_000),
    ),
}

VALID_DAYS: Final[Mapping[RiskTier, int]] = {RiskTier.LOW: 365, RiskTier.MEDIUM: 180, RiskTier.HIGH: 90}
"""How long an evaluation speaks for its version."""

STRICTEST: Final = RiskTier.HIGH
"""Held against versions that name no risk tier yet."""
