"""Ends backends, kills sealers, stops the server at once and starts it again."""

import asyncio
import os
import signal
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from random import Random
from typing import Final

import asyncpg

from registry_core.hammer.sealer import start_sealer
from registry_core.local.postgres import LocalPostgres
from registry_core.store.connections import TRANSIENT

PARTITIONS: Final = 4
_RIVALS: Final = 2
_DECK: Final = ("backends ended",) * 4 + ("sealers killed",) * 3 + ("servers stopped",)
_END_BACKENDS: Final = """
    select count(pg_terminate_backend(pid)) from (
      select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
       order by random() limit $1) chosen"""


class Sealers:
    """Rivals in processes of their own; one that is killed is started again."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._running: list[BaseProcess] = []

    def start(self) -> None:
        self._running = [start_sealer(self._dsn, PARTITIONS) for _ in range(_RIVALS)]

    def kill_one(self, random: Random) -> None:
        victim = random.randrange(_RIVALS)
        _kill(self._running[victim])
        self._running[victim] = start_sealer(self._dsn, PARTITIONS)

    def stop(self) -> None:
        for process in self._running:
            _kill(process)


def _kill(process: BaseProcess) -> None:
    process.kill()
    process.join()


@dataclass(frozen=True, slots=True)
class Disturber:
    """`run` makes one disturbance after the other; each kind comes up in every round."""

    server: LocalPostgres
    dsn: str
    """As a superuser."""
    sealers: Sealers
    random: Random
    counts: Counter[str]

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            for kind in self.random.sample(_DECK, len(_DECK)):
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.random.uniform(0.2, 1.5)):
                        await stop.wait()
                if stop.is_set():
                    return
                await self._strike(kind)
                self.counts[kind] += 1

    async def _strike(self, kind: str) -> None:
        match kind:
            case "backends ended":
                await _end_backends(self.dsn, self.random.randint(1, 4))
            case "sealers killed":
                self.sealers.kill_one(self.random)
            case _:
                os.kill(self.server.pid, signal.SIGQUIT)  # immediate: no checkpoint, recovery at the next start
                await self.server.restart()


async def _end_backends(dsn: str, count: int) -> None:
    with suppress(*TRANSIENT):
        connection = await asyncpg.connect(dsn, timeout=5)
        try:
            await connection.fetchval(_END_BACKENDS, count)
        finally:
            connection.terminate()
