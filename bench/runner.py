"""Runs a workload: ours, its reference, ours, its reference …, and takes the median of the ratios of the rounds."""

import gc
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Any

from bench.place import Place
from bench.workload import Measure, Sample, Workload


@dataclass(frozen=True, slots=True)
class Result:
    """What is written to latest.json. `ours` and `reference` are medians, in `unit`; `p50` and `p99` ours, in ms."""

    name: str
    ours: float
    reference: float | None
    ratio: float | None
    unit: str
    p50: float | None
    p99: float | None
    reference_p50: float | None
    reference_p99: float | None
    targets: tuple[str, ...]
    met: bool | None
    """None for a workload without a target."""
    rounds: int
    ratios: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


async def run(workload: Workload, place: Place, rounds: int, told: Callable[[str], None]) -> Result:
    """One round that is thrown away, then `rounds` that count. `told` hears how it goes."""
    ours, reference = list[Sample](), list[Sample]()
    async with workload.set_up(place) as sides:
        for number in range(rounds + 1):
            told(f"{workload.name}: {f'round {number} of {rounds}' if number else 'warming up'}")
            measured = await _measure(place, sides.ours)
            compared = await _measure(place, sides.reference) if sides.reference else None
            if number:
                ours.append(measured)
                reference += [compared] if compared else []
    return summarise(workload, ours, reference)


async def _measure(place: Place, measure: Measure) -> Sample:
    await place.checkpoint()
    gc.collect()
    return await measure()


def summarise(workload: Workload, ours: list[Sample], reference: list[Sample]) -> Result:
    ratios = [a.value / b.value for a, b in zip(ours, reference, strict=False)]
    p50, p99 = _percentiles(ours)
    reference_p50, reference_p99 = _percentiles(reference)
    ratio = median(ratios) if ratios else None
    values = {"ratio": ratio, "p50": p50, "p99": p99}
    return Result(
        name=workload.name,
        ours=median(sample.value for sample in ours),
        reference=median(sample.value for sample in reference) if reference else None,
        ratio=ratio,
        unit=workload.unit,
        p50=p50,
        p99=p99,
        reference_p50=reference_p50,
        reference_p99=reference_p99,
        targets=tuple(map(str, workload.targets)),
        met=all(target.met_by(values[target.of]) for target in workload.targets) if workload.targets else None,
        rounds=len(ours),
        ratios=tuple(round(value, 3) for value in ratios),
    )


def _percentiles(samples: list[Sample]) -> tuple[float | None, float | None]:
    """Of all rounds together, in milliseconds."""
    latencies = [latency for sample in samples for latency in sample.latencies]
    if len(latencies) < 2:
        return None, None
    cuts = quantiles(latencies, n=100, method="inclusive")
    return cuts[49], cuts[98]
