"""A ledger on a database of its own: events, a sealer, a signer, and an auditor over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from hallmark_ledger.bootstrap import build
from hallmark_ledger.checkpoints import Checkpointer
from hallmark_ledger.keys import KeyFolder
from hallmark_ledger.witnessing import Witnesses
from registry_core.events.versions import VersionAdded
from registry_core.proofs.handover import KeyChain
from registry_core.proofs.live import LiveReport, verify_live
from registry_core.service import Platform, open_platform
from registry_core.settings import Settings
from registry_core.store import ANY, Append
from registry_core.store.connections import Pool
from registry_core.store.sealer import Sealer
from support import http, new, token_of
from support_s3 import locked_bucket, s3_server
from support_witness import TlogWitness

PAGE = 7


@dataclass
class Ledger:
    platform: Platform
    http: httpx.AsyncClient
    checkpointer: Checkpointer
    sealer: Sealer

    async def append(self, count: int) -> None:
        """That many events on streams of three, sealed."""
        for n in range(count):
            data = VersionAdded(ref=f"model:m@1.0.{n}", digest="sha256:" + f"{n:064x}")
            await self.platform.store.append(Append(f"asset:model:m{n % 3}", [new(data)], ANY))
        await self.seal()

    async def seal(self) -> None:
        while await self.sealer.seal_once():
            pass

    @asynccontextmanager
    async def sealing(self) -> AsyncIterator[None]:
        """While it seals by itself: a command waits until what it wrote has its log index."""
        running = asyncio.create_task(self.sealer.run())
        try:
            yield
        finally:
            running.cancel()
            await asyncio.wait([running])

    async def sign(self) -> str:
        note = await self.checkpointer.sign()
        assert note
        return note

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self.http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def audit(self, *held: str, trusted: str | None = None) -> LiveReport:
        """What `hallmark audit verify --live` finds, reading over HTTP; `trusted` is by default the server's word."""
        key = await self.get("/v1/log/key")
        chain = KeyChain(key["origin"], [trusted or key["vkey"]])
        for handover in key["handovers"]:
            chain.add(handover)
        entries = await self.get("/v1/log/entries", limit=1000)
        notes = await self.get("/v1/log/checkpoints")

        def page(first: int) -> list[Any]:
            return [entry for entry in entries if entry["log_index"] >= first][:PAGE]

        return verify_live(page, lambda over: [n for n in notes if int(n.split("\n")[1]) > over], chain, held)


def checkpointer_of(pool: Pool, folder: Path, origin: str = "log.example/test") -> Checkpointer:
    return Checkpointer(pool, KeyFolder(folder, origin), 0.1, Witnesses([]))


@pytest.fixture
def tlog_witness() -> Iterator[TlogWitness]:
    server = TlogWitness()
    yield server
    server.stop()


@pytest.fixture(scope="module")
async def s3(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with s3_server(tmp_path_factory.mktemp("s3")) as endpoint:
        await asyncio.to_thread(locked_bucket, endpoint, "witness")
        yield endpoint


@pytest.fixture
def ledger_settings(database: Any, tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "var",
        postgres_dsn=database.service_dsn,
        postgres_ledger_dsn=database.ledger_dsn,
        checkpoint_origin="log.example/test",
    )


@pytest.fixture
async def ledger(ledger_settings: Settings) -> AsyncIterator[Ledger]:
    platform = await open_platform(ledger_settings)
    try:
        token = await token_of(platform, "root", "admin")
        checkpointer = checkpointer_of(platform.ledger, ledger_settings.data_dir / "keys")
        async with http(platform, [build(platform)], token) as client:
            made = Ledger(platform, client, checkpointer, Sealer(platform.ledger, 4))
            await made.seal()
            yield made
    finally:
        platform.terminate()
