"""Brings the newest checkpoint to every witness, for as long as it takes, and hears what they say of the log.

A database that was restored or recovered to an earlier moment does not know that it once was further. Its witnesses do.
So each is asked before anything is sealed or signed, and a contradiction stops both (docs/decisions/0022).
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog
from registry_core.problems import Problem
from registry_core.proofs.merkle import ProofError
from registry_core.service import Platform
from registry_core.store.connections import TRANSIENT, Pool
from registry_core.store.sealer import DAMAGED
from registry_core.store.tiles import StoredTree
from registry_core.telemetry import WITNESS_BEHIND, WITNESS_CONFLICT
from registry_core.witnesses import (
    CosignatureError,
    LogContradictedError,
    Witness,
    WitnessAwayError,
    WitnessConflictError,
    compare,
)

from hallmark_ledger import log
from hallmark_ledger.checkpoints import root_at

logger = structlog.get_logger()

SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
PATIENCE: Final = 20.0
"""Seconds for one attempt: so long, at most, an unreachable witness holds up a ledger that starts."""
FIX: Final = (
    "keep everything as it is and recover the lost events, or go on as another log: docs/operations.md, "
    "HallmarkLogContradicted; if the witness is wrong, take it out of HALLMARK_WITNESSES"
)


class PoolLog:
    """The log as the database has it now (`LogView`)."""

    def __init__(self, pool: Pool) -> None:
        self._pool, self._tree = pool, StoredTree(pool)

    async def size(self) -> int:
        return await log.log_size(self._pool)

    async def root(self, size: int) -> bytes:
        return await root_at(self._pool, size)

    async def consistency(self, old: int, new: int) -> Sequence[bytes]:
        return await log.consistency_proof(self._tree, old, new)


class Delivery:
    """One witness: it gets the newest checkpoint, which covers those it missed."""

    def __init__(self, platform: Platform, witness: Witness) -> None:
        self._pool, self._ledger, self._log = platform.pool, platform.ledger, PoolLog(platform.pool)
        self._witness, self._origin = witness, platform.settings.checkpoint_origin
        self._kept, self._pause, self._news = -1, SHORTEST_PAUSE, asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self.contradiction = ""
        """What it holds against the log."""
        self.heard = asyncio.Event()
        """It was asked, and holds nothing against the log. Not to have reached it counts as asked."""

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
        async with self._one_at_a_time:
            return await self._attempt()

    async def _attempt(self) -> bool:
        try:
            await self._deliver()
        except LogContradictedError as error:
            self._contradicted(error)
        except WitnessConflictError as error:
            self._passed_over()
            self._tell_conflict(error)
        except (WitnessAwayError, *TRANSIENT) as error:
            if isinstance(error, WitnessAwayError):  # else it is the database that is away, and nobody was asked
                self._passed_over()
            _tell_trouble(self._witness.url, error)
        except ProofError as error:  # the stored tree lacks hashes: nothing can be compared, so nothing is agreed
            url = self._witness.url
            logger.critical("the log cannot be compared with a witness", witness=url, reason=str(error), fix=DAMAGED)
        else:
            self._agreed()
            return True
        return False

    async def _deliver(self) -> None:
        newest = await log.latest_checkpoint(self._pool, self._origin)
        if newest is None:
            await self._ask()
        elif newest.size != self._kept:
            WITNESS_BEHIND.labels(self._witness.url).set(newest.size - max(self._kept, 0))
            await self._keep(newest)

    async def _ask(self) -> None:
        """Nothing is signed here that it could keep; it may hold something all the same."""
        async with _patience(self._witness):
            if held := await self._witness.newest():
                await compare(self._witness.url, held, self._origin, self._log)

    async def _keep(self, newest: log.StoredCheckpoint) -> None:
        async with _patience(self._witness):
            answered = await self._witness.keep(newest.size, newest.note, self._log)
        for cosignature in answered:
            await self._ledger.execute(
                "select log.add_cosignature($1, $2, $3)", newest.size, cosignature.vkey, cosignature.line
            )
        self._kept = newest.size
        WITNESS_BEHIND.labels(self._witness.url).set(0)

    def _agreed(self) -> None:
        self.contradiction = ""
        self.heard.set()
        WITNESS_CONFLICT.labels(self._witness.url).set(0)

    def _passed_over(self) -> None:
        """It could not be asked, or what it holds is of no concern to this log. What it said before still stands."""
        if not self.contradiction:
            self.heard.set()

    def _contradicted(self, error: LogContradictedError) -> None:
        self.contradiction = str(error)
        self.heard.clear()
        self._tell_conflict(error)

    def _tell_conflict(self, error: WitnessConflictError) -> None:
        url, stops = self._witness.url, bool(self.contradiction)
        WITNESS_CONFLICT.labels(url).set(1)
        logger.critical("a witness contradicts the log", witness=url, reason=str(error), stops=stops, fix=FIX)


class Witnesses:
    """All of them. The log grows only while none contradicts it."""

    def __init__(self, deliveries: Sequence[Delivery]) -> None:
        self._deliveries = deliveries

    async def agree(self) -> None:
        """Return when each was asked and none contradicts the log; wait until then."""
        for delivery in self._deliveries:
            await delivery.heard.wait()

    async def check(self) -> None:
        """Ask those that were not asked yet. Raises Problem, HTTP 503, while one contradicts the log."""
        for delivery in self._deliveries:
            if not delivery.heard.is_set() and not delivery.contradiction:
                await delivery.deliver()
            if delivery.contradiction:
                raise Problem(
                    503, "log-contradicted", f"nothing is sealed or signed: {delivery.contradiction}", fix=FIX
                )

    def wake(self) -> None:
        """There is a new checkpoint."""
        for delivery in self._deliveries:
            delivery.wake()


@asynccontextmanager
async def _patience(witness: Witness) -> AsyncIterator[None]:
    """A witness that does not come to an end is away."""
    try:
        async with asyncio.timeout(PATIENCE) as limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise WitnessAwayError(f"{witness.url} did not answer in {PATIENCE:.0f} s") from error


def _tell_trouble(url: str, error: Exception) -> None:
    if isinstance(error, CosignatureError):
        logger.error(
            "a witness's cosignature is not kept", witness=url, reason=str(error),
            fix="compare the key behind the # in HALLMARK_WITNESSES with the one that the witness publishes",
        )  # fmt: skip
        return
    logger.warning("a witness could not keep a checkpoint; trying again", witness=url, reason=str(error))
