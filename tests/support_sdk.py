"""Both clients of the SDK, used the same way, so that one test speaks of both."""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import Any, Literal, cast

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hallmark import AsyncClient, AsyncRetry, Client, Retry

Kind = Literal["Client", "AsyncClient"]
Connect = Callable[..., Any]
"""As `connect`, without the kind."""


class _Awaited:
    """An AsyncClient whose methods are called from here and awaited on a loop in another thread."""

    def __init__(self, client: AsyncClient, portal: BlockingPortal) -> None:
        self._client, self._portal = client, portal

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if isasyncgenfunction(found):
            return lambda *given, **named: self._each(found(*given, **named))
        if not iscoroutinefunction(found):
            return found
        return lambda *given, **named: self._portal.call(partial(found, *given, **named))

    def _each(self, generator: AsyncGenerator[Any, None]) -> Iterator[Any]:
        try:
            with suppress(StopAsyncIteration):
                while True:
                    yield self._portal.call(generator.__anext__)
        finally:
            self._portal.call(generator.aclose)


class Time:
    """Time that passes by itself."""

    now: float = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@contextmanager
def connect(
    kind: Kind,
    url: str | None = None,
    token: str | None = None,
    *,
    seconds: float = 60.0,
    notice: Callable[[str], object] = lambda _: None,
    time: Time | None = None,
    transport: httpx.MockTransport | None = None,
) -> Iterator[Client]:
    """A client of this kind, by its blocking methods; `time` passes in place of the real one."""
    if kind == "Client":
        retry = Retry(seconds, notice, time.sleep, time.clock) if time else Retry(seconds, notice)
        with Client(url, token, retry=retry, transport=transport) as client:
            yield client
        return
    with start_blocking_portal() as portal:
        patience = AsyncRetry(seconds, notice, _sleeping(time), time.clock) if time else AsyncRetry(seconds, notice)
        asynchronous = AsyncClient(url, token, retry=patience, transport=transport)
        try:
            yield cast(Client, _Awaited(asynchronous, portal))
        finally:
            portal.call(asynchronous.aclose)


def _sleeping(time: Time) -> Callable[[float], Any]:
    async def sleep(seconds: float) -> None:
        time.sleep(seconds)

    return sleep
