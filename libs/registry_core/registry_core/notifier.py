"""Wake-ups between processes: one listening connection, whose loss costs latency and nothing else."""

import asyncio
from collections import defaultdict
from contextlib import suppress
from typing import Any

import asyncpg

SEALED = "sealed"
JOBS = "jobs"
PROJECTED = "projected"
REBUILDS = "rebuilds"


class Notifier:
    """`await notifier.wait(channel, timeout)` returns at the channel's next notification, or at the timeout.

    Every loop that waits here also works without being woken, only later: notifications are hints.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self.stopping = False
        """The process is about to end: whoever waits here for long ends first."""
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    async def run(self) -> None:
        """Listen for ever; connect anew when the connection is lost."""
        while True:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                await self._listen()
            await asyncio.sleep(0.2)

    async def _listen(self) -> None:
        connection = await asyncpg.connect(self._dsn, timeout=5)
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        try:
            for channel in (SEALED, JOBS, PROJECTED, REBUILDS):
                await connection.add_listener(channel, self._notified)
            await lost.wait()
        finally:
            connection.terminate()

    def _notified(self, _connection: Any, _pid: int, channel: str, payload: object) -> None:
        self.wake(channel)
        self.wake(f"{channel}:{payload}")

    def wake(self, channel: str) -> None:
        """Wake this process's waiters."""
        for waiter in self._waiting[channel]:
            waiter.set()

    def stop(self) -> None:
        """Wake everybody, for the last time."""
        self.stopping = True
        for channel in list(self._waiting):
            self.wake(channel)

    def subscribe(self, channel: str, about: str = "") -> "Subscription":
        """A waiter that misses nothing between two waits. `about`: woken only by notifications that carry this text."""
        if about:
            return Subscription(self._waiting[f"{channel}:{about}"])
        return Subscription(self._waiting[channel])


class Subscription:
    def __init__(self, waiting: set[asyncio.Event]) -> None:
        self._waiting, self._event = waiting, asyncio.Event()
        waiting.add(self._event)

    async def wait(self, timeout: float) -> None:
        """Until notified since the last wait, or for `timeout` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._event.wait()
        self._event.clear()

    def close(self) -> None:
        self._waiting.discard(self._event)
