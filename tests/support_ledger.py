"""A ledger with all its loops on a database that was restored, and what it says when a witness contradicts it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import httpx
from hallmark_ledger.bootstrap import build
from registry_core.local.postgres import LocalPostgres
from registry_core.service import Platform
from registry_core.settings import Settings
from registry_core.store.connections import Pool
from support import http, running, token_of, until
from support_log import append


@asynccontextmanager
async def empty_database(server: LocalPostgres) -> AsyncIterator[tuple[str, Pool]]:
    name = f"r{uuid4().hex[:12]}"
    await server.database(name)
    owner = server.dsn_of(name, role="postgres")
    async with asyncpg.create_pool(owner, min_size=1, max_size=4) as pool:
        yield owner, pool


@asynccontextmanager
async def started(settings: Settings) -> AsyncIterator[tuple[Platform, httpx.AsyncClient]]:
    async with running(settings, [build]) as (platform, services):
        token = await token_of(platform, "root2", "admin")
        async with http(platform, services, token) as client:
            yield platform, client


async def refused(client: httpx.AsyncClient) -> str:
    """Wait until the ledger says that a witness contradicts it; what it says."""

    async def asked() -> str:
        answer = await client.get("/v1/audit/export")
        return answer.json()["detail"] if answer.status_code == 503 and "log-contradicted" in answer.text else ""

    return await until(asked)


async def stands_still(platform: Platform, client: httpx.AsyncClient, size: int) -> None:
    """What is appended is kept and not sealed, nothing is signed, and the answer says how to mend it."""
    added = append("after")
    await platform.store.append(added)
    assert await platform.store.wait_sealed(added.events[-1].id, 1.0) is None
    assert await platform.pool.fetchval("select next_index from log.sealer_state") == size
    assert await platform.pool.fetchval("select max(size) from log.checkpoints") <= size
    for answer in (await client.get("/v1/audit/export"), await client.post("/v1/log/key/rotation", json={})):
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:hallmark:problem:log-contradicted")
        assert "HallmarkLogContradicted" in answer.json()["fix"]
