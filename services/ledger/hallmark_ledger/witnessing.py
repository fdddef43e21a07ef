"""Brings the newest checkpoint to every witness, for as long as it takes."""

import asyncio
from collections.abc import Sequence

import structlog
from registry_core.store.connections import TRANSIENT, Pool
from registry_core.telemetry import WITNESS_BEHIND, WITNESS_CONFLICT
from registry_core.witnesses import Witness, WitnessAwayError, WitnessConflictError

from hallmark_ledger import log
from hallmark_ledger.checkpoints import root_at

logger = structlog.get_logger()

SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 60.0


class PoolLog:
    """The log as the database has it now (`LogView`)."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def root(self, size: int) -> bytes:
        return await root_at(self._pool, size)

    async def consistency(self, old: int, new: int) -> Sequence[bytes]:
        return await log.consistency_proof(self._pool, old, new)


class Delivery:
    """One witness: it gets the newest checkpoint, which covers those it missed."""

    def __init__(self, pool: Pool, witness: Witness) -> None:
        self._pool, self._witness, self._log = pool, witness, PoolLog(pool)
        self._kept, self._pause, self._news = -1, SHORTEST_PAUSE, asyncio.Event()

    def wake(self) -> None:
        """There is a new checkpoint."""
        self._news.set()

    async def run(self) -> None:
        while True:
            self._news.clear()
            if await self.deliver():
                self._pause = SHORTEST_PAUSE
                await self._news.wait()
            else:
                await asyncio.sleep(self._pause)
                self._pause = min(self._pause * 2, LONGEST_PAUSE)

    async def deliver(self) -> bool:
        """Whether the witness holds the newest checkpoint now."""
        url = self._witness.url
        try:
            newest = await log.latest_checkpoint(self._pool)
            if newest is None or newest.size == self._kept:
                return True
            WITNESS_BEHIND.labels(url).set(newest.size - max(self._kept, 0))
            await self._witness.keep(newest.size, newest.note, self._log)
        except WitnessConflictError as error:
            WITNESS_CONFLICT.labels(url).set(1)
            logger.critical(
                "a witness contradicts the log", witness=url, reason=str(error),
                fix="keep everything as it is and read docs/operations.md, HallmarkLogContradicted",
            )  # fmt: skip
            return False
        except (WitnessAwayError, *TRANSIENT) as error:
            logger.warning("a witness could not keep a checkpoint; trying again", witness=url, reason=str(error))
            return False
        self._kept = newest.size
        WITNESS_CONFLICT.labels(url).set(0)
        WITNESS_BEHIND.labels(url).set(0)
        return True
