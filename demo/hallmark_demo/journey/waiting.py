"""Waiting for what the services bring about, and checking that it is as it must be."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from time import monotonic, sleep
from typing import Any, Final, TypeVar

from aiokafka.errors import KafkaError

T = TypeVar("T")

PATIENCE: Final = 120.0
"""Seconds that any step waits for the services; long, because tests kill them in between."""


class JourneyError(AssertionError):
    """A step that did not come out as it must."""


def check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise JourneyError(otherwise)


def until(condition: Callable[[], T | None], seconds: float = PATIENCE) -> T:
    """The first true value of a condition that the services bring about. Raises JourneyError."""
    value = soon(condition, seconds)
    if not value:
        raise JourneyError(f"nothing came of it within {seconds:g} s: {condition.__qualname__}")
    return value


def soon(condition: Callable[[], T | None], seconds: float) -> T | None:
    deadline = monotonic() + seconds
    while not (value := condition()):
        if monotonic() > deadline:
            return None
        sleep(0.1)
    return value


def emitted(emission: Coroutine[Any, Any, None]) -> None:
    """Put on Kafka, if there is one just now: who waits for what comes of it emits again."""
    with suppress(KafkaError, OSError):
        asyncio.run(emission)
