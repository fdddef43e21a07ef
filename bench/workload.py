"""What a workload is: two measurements that take turns, and the ratio between them that is to be reached."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from bench.place import Place


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: `value` in the workload's unit; `latencies` in milliseconds, of single operations."""

    value: float
    latencies: Sequence[float] = ()


Measure = Callable[[], Awaitable[Sample]]


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides of a workload, set up and ready to be measured again and again. `reference` may be absent."""

    ours: Measure
    reference: Measure | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on `ratio` (ours / reference, median of the rounds), or on our `p50` or `p99` in milliseconds."""

    of: Literal["ratio", "p50", "p99"]
    bound: float
    at_least: bool

    def met_by(self, value: float | None) -> bool:
        return value is not None and (value >= self.bound if self.at_least else value <= self.bound)

    def __str__(self) -> str:
        name = "" if self.of == "ratio" else f"{self.of} "
        return f"{name}{'≥' if self.at_least else '≤'} {self.bound:g}{'' if self.of == 'ratio' else ' ms'}"


def ratio_at_least(bound: float) -> Target:
    return Target("ratio", bound, at_least=True)


def ratio_at_most(bound: float) -> Target:
    return Target("ratio", bound, at_least=False)


def p99_at_most(milliseconds: float) -> Target:
    return Target("p99", milliseconds, at_least=False)


SetUp = Callable[[Place], AbstractAsyncContextManager[Sides]]


@dataclass(frozen=True, slots=True)
class Workload:
    name: str
    unit: str
    targets: tuple[Target, ...]
    set_up: SetUp
    about: str


WORKLOADS: dict[str, Workload] = {}


def workload(
    name: str, unit: str, *targets: Target
) -> Callable[[Callable[[Place], AsyncIterator[Sides]]], Callable[[Place], AsyncIterator[Sides]]]:
    """Register an async generator that sets up, yields the two sides once, and tears down. Its docstring is shown."""

    def register(generator: Callable[[Place], AsyncIterator[Sides]]) -> Callable[[Place], AsyncIterator[Sides]]:
        if name in WORKLOADS:
            raise ValueError(f"the workload {name} is declared twice")
        about = (generator.__doc__ or "").strip()
        WORKLOADS[name] = Workload(name, unit, targets, asynccontextmanager(generator), about)
        return generator

    return register
