"""A new installation on which the journey is walked, and what is looked at in the end."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
from faults.cluster import Cluster, Installation, cluster, install
from faults.end_state import EndState, end_state
from faults.invariants import at_rest, check_log, verify_log
from hallmark_demo.journey import Models, Outcome, run_journey
from registry_core.local.broker import LocalBroker
from registry_core.local.postgres import LocalPostgres
from registry_core.settings import Settings
from registry_core.store import schema
from rich.console import Console
from support import until


@dataclass(frozen=True, slots=True)
class Place:
    settings: Settings
    folder: Path
    models: Models
    installation: Installation

    def services(self) -> AbstractAsyncContextManager[Cluster]:
        """All of them, running."""
        return cluster(self.settings, self.installation, self.folder)

    async def walk(self, services: Cluster) -> Outcome:
        """The whole journey, told to `journey.log`, by the CI job that built the models."""
        stage = self.folder / "stage"
        shutil.copytree(self.models.folder / "keys", stage / "keys")
        with (self.folder / "journey.log").open("w") as log:
            console = Console(file=log, width=120)
            return await asyncio.to_thread(run_journey, services.site, stage, console, self.models)

    async def checkpoint(self) -> str:
        """The newest signed note of the log, as it was handed out."""
        latest = self.settings.data_dir / "checkpoints" / "latest"
        await until(lambda: asyncio.to_thread(latest.exists))
        return latest.read_text()

    async def settle(self, services: Cluster, held_checkpoint: str | None = None) -> EndState:
        """Wait for rest, check all that has to hold of the log, and tell the end state."""
        async with self.owner() as owner:
            await at_rest(owner, self.installation)
            await check_log(owner)
            await verify_log(services, held_checkpoint or await self.checkpoint(), self.folder)
            return await end_state(owner)

    async def log_size(self) -> int:
        """Sealed events."""
        async with self.owner() as owner:
            size: int = await owner.fetchval("select next_index from log.sealer_state")
            return size

    @asynccontextmanager
    async def owner(self) -> AsyncIterator[asyncpg.Connection]:
        """The database as its owner."""
        connection = await asyncpg.connect(self.settings.postgres_owner_dsn.get_secret_value())
        try:
            yield connection
        finally:
            await connection.close()


NewPlace = Callable[..., Awaitable[Place]]


async def make_place(server: LocalPostgres, broker: LocalBroker, models: Models, folder: Path) -> Place:
    """An empty database with the schema, an empty broker, an empty folder."""
    name = f"f{uuid4().hex[:12]}"
    await server.database(name)
    owner = server.dsn_of(name, role="postgres")
    await schema.install(owner)
    await broker.wipe_and_restart()  # the last test's records are none of this one's
    settings = Settings(
        data_dir=folder / "var",
        postgres_dsn=server.dsn_of(name, role="hallmark_service"),
        postgres_ledger_dsn=server.dsn_of(name, role="hallmark_ledger"),
        postgres_owner_dsn=owner,
        kafka_bootstrap=broker.bootstrap,
        kafka_flavour=os.environ.get("HALLMARK_TEST_KAFKA", "tansu"),
        checkpoint_seconds=0.2,
        sweep_seconds=3600,
        movable_clock=True,
    )
    return Place(settings, folder, models, await install(settings, folder))
