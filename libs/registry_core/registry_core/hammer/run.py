"""Puts a run together: a server, writers, sealers, readers, disturbances, and the verdict."""

import asyncio
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import asyncpg

from registry_core import projections
from registry_core.hammer.book import Book, Findings
from registry_core.hammer.disturbances import Disturber, Sealers
from registry_core.hammer.reader import STREAMS, Reader, check_projection
from registry_core.hammer.writers import Place, Writer, hold_transactions_open
from registry_core.local.errors import LocalStackError
from registry_core.local.postgres import OWNER, SUPERUSER, LocalPostgres, postgres
from registry_core.local.processes import until
from registry_core.local.stack import SERVICE_ROLE
from registry_core.notifier import Notifier
from registry_core.projections import Projector
from registry_core.store import schema
from registry_core.store.connections import TRANSIENT, Pool
from registry_core.store.postgres import PostgresEventStore

_PREPARE: Final = f"""
    create table work.hammer (note text);
    grant insert on work.hammer to {SERVICE_ROLE};
    alter database {OWNER} set deadlock_timeout = '50ms'"""  # transactions with two appends deadlock, and often here
_STALLED: Final = 10.0
"""Seconds without progress, with nobody writing, after which what is missing counts as lost."""
_LOOK: Final = 0.1
_STARTS_WITHIN: Final = 60.0
_POOLS: Final = (8, 16, 6)
"""Connections of the store, of writers with transactions of their own, of readers."""


@dataclass(frozen=True, slots=True)
class Options:
    seconds: float
    seed: int
    writers: int = 32
    disturbed: bool = True
    sql: str = ""
    """Run by the owner after the schema was installed: what is to be shown to be wrong."""
    to_the_end: bool = False
    """Go on after the first finding."""


@dataclass(frozen=True, slots=True)
class Outcome:
    seconds: float
    sealed: int
    proofs: int
    counts: Counter[str]
    """What writers and disturbances did, by kind; `events`: acknowledged ones."""
    findings: Findings
    folder: Path | None
    """The kept data, if anything is wrong."""

    @property
    def ok(self) -> bool:
        return not self.findings.counts


@dataclass(frozen=True, slots=True)
class Status:
    """For the line that tells of progress."""

    seconds: float
    events: int
    sealed: int
    waiting: int
    proofs: int
    struck: int


async def hammer(options: Options, tell: Callable[[Status], None] = lambda _: None) -> Outcome:
    """One run. The same seed makes the same choices in each writer; how they interleave is the machine's affair."""
    folder = Path(tempfile.mkdtemp(prefix="hallmark-hammer-"))
    folder.chmod(0o711)  # as root, PostgreSQL's account passes through
    kept = False
    try:
        async with postgres(folder / "postgres") as server:
            outcome = await _run(options, server, folder, tell)
        kept = not outcome.ok
    finally:
        if not kept:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return outcome


async def _run(options: Options, server: LocalPostgres, folder: Path, tell: Callable[[Status], None]) -> Outcome:
    owner = server.dsn_of(OWNER, role=SUPERUSER)
    await _install(owner, options.sql)
    async with _Run.of(options, server.dsn_of(OWNER, role=SERVICE_ROLE), owner) as run:
        await run.hammer(server, owner, tell)
        return run.outcome(folder)


async def _install(owner: str, sql: str) -> None:
    await schema.install(owner)
    connection = await asyncpg.connect(owner)
    try:
        await connection.execute(_PREPARE)
        await projections.install(connection, [STREAMS])
        if sql:
            await connection.execute(sql)
    finally:
        await connection.close()


class _Run:
    def __init__(self, options: Options, dsn: str, owner: str, pools: tuple[Pool, Pool, Pool]) -> None:
        self._options, self._began = options, time.monotonic()
        stores, direct, self._reading = pools
        self.findings = Findings()
        self.book = Book(self.findings)
        self._place = Place(PostgresEventStore(stores), direct, self.book)
        self._reader = Reader(self._reading, self.book, self._random("reader"))
        self._sealers = Sealers(owner)
        self._notifier = Notifier(dsn)

    @classmethod
    @asynccontextmanager
    async def of(cls, options: Options, dsn: str, owner: str) -> AsyncIterator["_Run"]:
        async with AsyncExitStack() as stack:
            pools = [
                await asyncpg.create_pool(dsn, min_size=0, max_size=size, command_timeout=30) for size in (8, 16, 6)
            ]
            for pool in pools:
                stack.callback(pool.terminate)
            run = cls(options, dsn, owner, (pools[0], pools[1], pools[2]))
            stack.callback(run._sealers.stop)
            yield run

    def _random(self, name: str) -> Random:
        return Random(f"{self._options.seed} {name}")  # noqa: S311 - to be repeated, not to be secret

    async def hammer(self, server: LocalPostgres, owner: str, tell: Callable[[Status], None]) -> None:
        self._sealers.start()
        projector = Projector([STREAMS], self._reading, self._notifier)
        following = [asyncio.create_task(loop()) for loop in (self._reader.run, projector.run, self._notifier.run)]
        try:
            await self._begin()
            await self._write(server, owner, tell)
            await self._settle(tell)
        finally:
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)
        self.book.close()
        await check_projection(self._reading, self.book)

    async def _begin(self) -> None:
        """The clock starts when the first event was sealed and read: until then the sealers are only starting."""
        await Writer(self._place, self._random("first")).append()
        if not await until(lambda: not self.book.waiting, _STARTS_WITHIN):
            raise LocalStackError(f"no sealer has started within {_STARTS_WITHIN:g} s; run `hallmark doctor`")
        self._began = time.monotonic()

    async def _write(self, server: LocalPostgres, owner: str, tell: Callable[[Status], None]) -> None:
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for n in range(self._options.writers):
                tasks.create_task(Writer(self._place, self._random(f"writer {n}")).run(stop))
            tasks.create_task(hold_transactions_open(self._place.pool, self._random("transactions"), stop))
            if self._options.disturbed:
                random, counts = self._random("disturbances"), self._place.counts
                tasks.create_task(Disturber(server, owner, self._sealers, random, counts).run(stop))
            await self._wait(tell)
            stop.set()

    async def _wait(self, tell: Callable[[Status], None]) -> None:
        while time.monotonic() - self._began < self._options.seconds:
            await asyncio.sleep(_LOOK)
            tell(self._status())
            if self.findings.counts and not self._options.to_the_end:
                return

    async def _settle(self, tell: Callable[[Status], None]) -> None:
        """Until everything is sealed, read and projected, or nothing moves any more."""
        seen, since = (-1, -1), time.monotonic()
        while time.monotonic() - since < _STALLED:
            tell(self._status())
            with suppress(*TRANSIENT):
                (found,) = await self._reading.fetch(
                    """select (select count(*) from log.events), next_index,
                              (select log_index + 1 from work.projections where name = $1) from log.sealer_state""",
                    STREAMS.table,
                )
                events, size, folded = found
                if events == size == folded == self.book.next_index:
                    return
                if (size, folded + self.book.next_index) != seen:
                    seen, since = (size, folded + self.book.next_index), time.monotonic()
            await asyncio.sleep(_LOOK)
        self.findings.add("log does not come to rest", f"{events} events, {size} sealed, {folded} projected")

    def _status(self) -> Status:
        counts = self._place.counts
        struck = counts["backends ended"] + counts["sealers killed"] + counts["servers stopped"]
        seconds = time.monotonic() - self._began
        return Status(seconds, counts["events"], self.book.next_index, self.book.waiting, self._reader.proofs, struck)

    def outcome(self, folder: Path) -> Outcome:
        status = self._status()
        kept = folder if self.findings.counts else None
        return Outcome(status.seconds, status.sealed, status.proofs, self._place.counts, self.findings, kept)
