"""The ledger and ingestion as in production: processes of their own, on a database of their own."""

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

from registry_core.events import NewEvent, Origin
from registry_core.events.governance import AccountCreated, RolesChanged
from registry_core.identity import account_stream, new_token
from registry_core.local import ports as free
from registry_core.store import Append
from registry_core.store.postgres import PostgresEventStore

from bench.lives import BEGINNING
from bench.load import server
from bench.place import Database, Place, pool_of


@asynccontextmanager
async def ingestion(
    place: Place, processes: int, settings: Mapping[str, str] = {}
) -> AsyncIterator[tuple[list[int], str]]:
    """So many processes of ingestion, with further settings by name. Their ports, and a pipeline's token."""
    async with place.database() as database, AsyncExitStack() as stack:
        token = await _pipeline(database)
        ports = list[int]()
        for name in ("ledger", *["ingestion"] * processes):
            port = free.choose()
            env = _environment(place, database, name, port) | {f"HALLMARK_{k.upper()}": v for k, v in settings.items()}
            program = (str(Path(sys.executable).with_name("hallmark")), "serve", name)
            await stack.enter_async_context(server(*program, health="/health/ready", port=port, env=env))
            ports.append(port)
        yield ports[1:], token


def _environment(place: Place, database: Database, name: str, port: int) -> dict[str, str]:
    return {
        **os.environ,
        "HALLMARK_POSTGRES_DSN": database.service_dsn,
        "HALLMARK_POSTGRES_LEDGER_DSN": database.ledger_dsn,
        "HALLMARK_PORT": str(port),
        "HALLMARK_DATA_DIR": str(place.folder / f"{name}-{database.name}"),
        "HALLMARK_LOG_LEVEL": "warning",
        "HALLMARK_RATE_ACCOUNT": "0",  # one account stands for many
    }


async def _pipeline(database: Database) -> str:
    token, issued = new_token("ci")
    created = AccountCreated(account="ci", kind="service", person="ci")
    origin = Origin(actor="ci", occurred_at=BEGINNING, correlation_id=uuid4())
    events = [created, RolesChanged(account="ci", roles=("contributor",)), issued]
    async with pool_of(database) as pool:
        made = [NewEvent(id=uuid4(), data=data, origin=origin) for data in events]
        await PostgresEventStore(pool).append(Append(account_stream("ci"), made, -1))
    return token
