"""PostgreSQL and a broker beside the services on one machine, kept alive for as long as the context lasts."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import structlog
from pydantic import SecretStr

from registry_core.local import ports
from registry_core.local.broker import LocalBroker, broker
from registry_core.local.errors import LocalStackError
from registry_core.local.postgres import OWNER, SUPERUSER, LocalPostgres, postgres
from registry_core.local.postgres_layout import lay_out
from registry_core.settings import Settings

log = structlog.get_logger()

SERVICE_ROLE = "hallmark_service"
LEDGER_ROLE = "hallmark_ledger"
_LOOK_SECONDS = 0.25
_LONGEST_PAUSE = 15.0


@dataclass(frozen=True, slots=True)
class LocalStack:
    """`settings` lead to everything. The servers are None where the settings named others."""

    settings: Settings
    listener: socket.socket
    """Where HTTP is to be served; held from the start, so that nobody else can take the port."""
    postgres: LocalPostgres | None
    broker: LocalBroker | None


@asynccontextmanager
async def local_stack(
    data_dir: Path, ephemeral: bool = False, configured: Settings | None = None
) -> AsyncIterator[LocalStack]:
    """Run what `configured` does not name, with its data in `data_dir`; choose the configured HTTP port or the next.

    A server that dies is started again: PostgreSQL on its data, the broker empty, which consumers repair from the log.
    `ephemeral` is for tests and demonstrations: the database is not durable, and removed at the end. On the way out
    the broker stops first, then PostgreSQL. Raises LocalStackError.
    """
    given = configured or Settings()
    async with AsyncExitStack() as stack:
        database = None if _dsn(given) else await _enter_postgres(stack, data_dir, ephemeral)
        running = None if given.kafka_bootstrap else await stack.enter_async_context(broker(folder=_logs(data_dir)))
        listener = stack.enter_context(ports.listen(given.host, given.port))
        settings = _settings(given, data_dir, database, running, listener.getsockname()[1])
        watching = asyncio.create_task(_keep_alive(database, running))
        stack.push_async_callback(_end, watching)
        yield LocalStack(settings, listener, database, running)


def service_dsn(server: LocalPostgres) -> str:
    """The database as the services see it: they may append to the log and not change it."""
    return server.dsn_of(OWNER, role=SERVICE_ROLE)


def running_dsn(data_dir: Path, role: str = SERVICE_ROLE) -> str:
    """The same of a stack that another process runs on this folder: the unix socket lets its account in alone.

    Raises LocalStackError where no stack ever kept its data there.
    """
    folder = data_dir / "postgres"
    if not folder.is_dir():
        raise LocalStackError(f"no local database in {data_dir}; name the data folder of `hallmark up`")
    host = quote(str(lay_out(folder).socket), safe="")
    return f"postgresql://{role}@/{OWNER}?host={host}"


async def _enter_postgres(stack: AsyncExitStack, data_dir: Path, ephemeral: bool) -> LocalPostgres:
    folder = data_dir / "postgres"
    if not ephemeral:
        return await stack.enter_async_context(postgres(folder))
    return await stack.enter_async_context(_ephemeral_postgres(folder))


@asynccontextmanager
async def _ephemeral_postgres(folder: Path) -> AsyncIterator[LocalPostgres]:
    async with postgres(folder, durable=False) as server:
        yield server
    for path in {folder, server.data_dir}:  # as root it may lie elsewhere
        await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)


def _dsn(settings: Settings) -> str:
    return settings.postgres_dsn.get_secret_value()


def _logs(data_dir: Path) -> Path:
    folder = data_dir / "broker"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LocalStackError(f"{folder} cannot be made: {error}; choose another data folder") from error
    return folder


def _settings(
    given: Settings, data_dir: Path, database: LocalPostgres | None, running: LocalBroker | None, port: int
) -> Settings:
    found: dict[str, object] = {"data_dir": data_dir, "port": port}
    if database:
        owner = database.dsn_of(OWNER, role=SUPERUSER)
        ledger = database.dsn_of(OWNER, role=LEDGER_ROLE)
        found |= {"postgres_dsn": SecretStr(service_dsn(database)), "postgres_ledger_dsn": SecretStr(ledger)}
        found |= {"postgres_owner_dsn": SecretStr(owner)}
    if running:
        found |= {"kafka_bootstrap": running.bootstrap, "kafka_flavour": "tansu"}
    return given.model_copy(update=found)


async def _keep_alive(database: LocalPostgres | None, running: LocalBroker | None) -> None:
    """Watch each server of ours in a task of its own."""
    async with asyncio.TaskGroup() as tasks:
        if database:
            tasks.create_task(_revive("PostgreSQL", lambda: database.pid, database.restart))
        if running:
            tasks.create_task(_revive("the broker", lambda: running.pid, running.wipe_and_restart))


async def _revive(name: str, pid: Callable[[], int], restart: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        if not _lives(pid()):
            log.warning("a local server ended; starting it again", server=name)
            await _restart(name, restart)


async def _restart(name: str, restart: Callable[[], Awaitable[None]]) -> None:
    """Try until it runs."""
    pause = 1.0
    while True:
        try:
            return await restart()
        except (LocalStackError, OSError) as error:
            log.warning("a local server cannot be started; trying again", server=name, reason=str(error), pause=pause)
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _lives(pid: int) -> bool:
    """Our own child stays a zombie until it is waited for, so its pid cannot be somebody else's yet."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
