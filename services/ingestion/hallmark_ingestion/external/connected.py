"""In whose name versions come in, and the jobs that fetch them."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from registry_core.handlers import Cause, Reader, StartJob, load
from registry_core.identity import Account, account_stream
from registry_core.messaging.unit_of_work import job_row, start_jobs
from registry_core.problems import forbidden
from registry_core.service import Platform
from registry_core.telemetry import current_traceparent


async def check_allowed(reader: Reader, account: str, action: str) -> None:
    """Raises Problem 403 where the account may not do this now."""
    if not (await load(reader, Account(), account_stream(account))).reach(action):
        raise forbidden(
            f"{account}, in whose name this comes, may not {action}",
            f"give it a role that may: `hallmark account roles {account} --role contributor`",
        )


async def enqueue(platform: Platform, seed: UUID, kind: str, payload: Mapping[str, Any], priority: int = 0) -> None:
    """A job of ingestion; the same seed starts it once."""
    cause = Cause(seed, seed, current_traceparent(), seed)
    job = job_row("ingestion", StartJob(kind, payload, priority), cause)
    async with platform.pool.acquire() as connection, connection.transaction():
        await start_jobs(connection, "ingestion", [job])
