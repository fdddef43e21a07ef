"""Latency of single calls, measured."""

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def call_latency_ms(call: Callable[[T], object], inputs: Iterable[T]) -> dict[str, float]:
    """Median and 99th percentile of one call per input, in milliseconds."""
    taken = []
    for given in inputs:
        started = time.perf_counter_ns()
        call(given)
        taken.append((time.perf_counter_ns() - started) / 1e6)
    p50, p99 = np.percentile(taken, [50, 99])
    return {"latency_p50_ms": float(p50), "latency_p99_ms": float(p99)}
