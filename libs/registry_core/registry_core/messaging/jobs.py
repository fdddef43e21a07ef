"""Long work outside the poll: claimed with SKIP LOCKED under a lease, finished together with its effects."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

import structlog

from registry_core.clock import Clock
from registry_core.handlers import Cause, Effect, Reader
from registry_core.messaging import dead_letters
from registry_core.messaging.dead_letters import DeadLetter
from registry_core.messaging.unit_of_work import Commit, PoolReader, StaleReadError, UnitOfWork
from registry_core.notifier import JOBS, Notifier
from registry_core.store.connections import TRANSIENT, Connection, Pool
from registry_core.telemetry import JOB_SECONDS, span
from registry_core.telemetry import JOBS as FINISHED

log = structlog.get_logger()

LEASE_SECONDS = 10.0
MAX_FAILURES = 5
"""By the job's own fault; what a dependency causes is tried again for as long as it lasts, every 30 s at last."""
MAX_STALE_READS = 100

_CLAIM = """
    update work.jobs set lease = $2, lease_until = now() + make_interval(secs => $3), attempts = attempts + 1
     where id = (select id from work.jobs
                  where service = $1 and state = 'waiting' and run_at <= now()
                    and (lease_until is null or lease_until < now())
                  order by priority desc, run_at limit 1 for update skip locked)
    returning id, kind, payload, attempts, failures, origin"""
_RENEW = "update work.jobs set lease_until = now() + make_interval(secs => $2) where lease = $1"
_FINISH = "update work.jobs set state = 'done', lease = null, last_error = null where id = $1 and lease = $2"
_POSTPONE = """
    update work.jobs set lease = null, lease_until = null, last_error = $3,
           run_at = now() + make_interval(secs => $4), state = $5, failures = $6 where id = $1 and lease = $2"""


@dataclass(frozen=True, slots=True)
class Job:
    id: UUID
    kind: str
    payload: Mapping[str, Any]
    attempts: int
    failures: int
    cause: Cause


JobFunction = Callable[[Mapping[str, Any], Reader], Awaitable[Sequence[Effect]]]
"""Does the work and returns its effects. It may run again after a crash, so its effects on the outside carry keys."""


class LostLeaseError(Exception):
    """The lease ran out and somebody else has the job now."""


class JobRunner:
    def __init__(
        self, service: str, functions: Mapping[str, JobFunction], pool: Pool, notifier: Notifier, clock: Clock
    ) -> None:
        self._service, self._functions = service, functions
        self._pool, self._notifier, self._clock = pool, notifier, clock

    async def run(self, workers: int = 2) -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(workers):
                tasks.create_task(self._work())

    async def _work(self) -> None:
        with closing(self._notifier.subscribe(JOBS)) as woken:
            while True:
                try:
                    if not await self.run_next():
                        await woken.wait(1.0)
                except TRANSIENT as error:
                    log.warning("jobs wait", reason=repr(error))
                    await asyncio.sleep(0.5)

    async def run_next(self) -> bool:
        """Claim and run one job. False when none is waiting."""
        lease = uuid4()
        row = await self._pool.fetchrow(_CLAIM, self._service, lease, LEASE_SECONDS)
        if row is None:
            return False
        job = _job(row)
        renewal = asyncio.create_task(self._renew(lease))
        started = time.monotonic()
        try:
            with span(f"{self._service} job {job.kind}", job.cause.traceparent):
                await self._run(job, lease)
            FINISHED.labels(self._service, job.kind, "done").inc()
        except (LostLeaseError, StaleReadError, *TRANSIENT) as error:  # says nothing against the job
            hopeless = isinstance(error, StaleReadError) and job.attempts >= MAX_STALE_READS
            await self._postpone(job, lease, error, failed=hopeless)
        except Exception as error:
            job = replace(job, failures=job.failures + 1)
            await self._postpone(job, lease, error, failed=job.failures >= MAX_FAILURES)
        finally:
            renewal.cancel()
            JOB_SECONDS.labels(self._service, job.kind).observe(time.monotonic() - started)
        return True

    async def _run(self, job: Job, lease: UUID) -> None:
        effects = await self._functions[job.kind](job.payload, PoolReader(self._pool, self._clock))
        async with self._pool.acquire() as connection:
            work = UnitOfWork(connection, self._service, self._clock, lambda: _finish(job, lease))
            work.add(effects, job.cause)
            await work.commit()

    async def _renew(self, lease: UUID) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            with suppress(*TRANSIENT):
                await self._pool.execute(_RENEW, lease, LEASE_SECONDS)

    async def _postpone(self, job: Job, lease: UUID, error: Exception, *, failed: bool) -> None:
        log.warning(
            "job postponed", kind=job.kind, attempts=job.attempts, failed=failed, reason=repr(error), exc_info=error
        )
        FINISHED.labels(self._service, job.kind, "failed" if failed else "postponed").inc()
        soon, later = min(0.02 * job.attempts, 1.0), min(0.2 * 2 ** min(job.attempts, 10), 30.0)
        pause = soon if isinstance(error, StaleReadError) else later
        state = "failed" if failed else "waiting"
        reason = dead_letters.storable(repr(error))[:4000]
        async with self._pool.acquire() as connection, connection.transaction():
            status = await connection.execute(_POSTPONE, job.id, lease, reason, pause, state, job.failures)
            if failed and status == "UPDATE 1":
                await dead_letters.put_job(connection, _letter(self._service, job, reason))


def _finish(job: Job, lease: UUID) -> Commit:
    async def commit(connection: Connection) -> None:
        if await connection.execute(_FINISH, job.id, lease) != "UPDATE 1":
            raise LostLeaseError
        await dead_letters.mark_job_replayed(connection, job.id)

    return commit


def _letter(service: str, job: Job, reason: str) -> DeadLetter:
    key = job.payload.get("ref")
    return DeadLetter(
        consumer=service, topic=f"{dead_letters.JOBS}{service}", partition=0, record=str(job.id),
        key=key if isinstance(key, str) else None, headers={"kind": job.kind},
        value=json.dumps(job.payload).encode(), reason=reason,
    )  # fmt: skip


def _job(row: Any) -> Job:
    origin = json.loads(row["origin"])
    cause = Cause(UUID(origin["id"]), UUID(origin["correlation_id"]), origin.get("traceparent"), seed=row["id"])
    return Job(row["id"], row["kind"], json.loads(row["payload"]), row["attempts"], row["failures"], cause)
