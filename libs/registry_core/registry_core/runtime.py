"""Runs services in one process: HTTP, consumers, jobs, projections and loops, until told to stop."""

import asyncio
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import asyncpg
import structlog
import uvicorn

from registry_core import projections, telemetry
from registry_core.http.app import make_app
from registry_core.http.server import MOST_CONNECTIONS, BoundedProtocol
from registry_core.messaging.consumer import Consumer
from registry_core.messaging.jobs import JobRunner
from registry_core.messaging.transport import Transport
from registry_core.projections import Projector
from registry_core.service import Platform, Service, find_services, open_platform
from registry_core.settings import Settings
from registry_core.store import schema
from registry_core.store.connections import TRANSIENT

log = structlog.get_logger()

Loop = Callable[[], Coroutine[None, None, None]]
Started = Callable[[Platform, int], Coroutine[None, None, None]]


async def run_services(
    settings: Settings,
    names: Sequence[str],
    started: Started | None = None,
    stop: asyncio.Event | None = None,
    listener: socket.socket | None = None,
) -> None:
    """Run until `stop`, by default SIGTERM or SIGINT. `started(platform, port)` is called once HTTP answers.

    HTTP is served on `listener`, by default on the settings' host and port.
    """
    telemetry.configure(settings, names[0] if len(names) == 1 else "all")
    builds = find_services(names)
    if owner := settings.postgres_owner_dsn.get_secret_value():
        await _retrying(lambda: schema.install(owner))
    platform = await _retrying(lambda: open_platform(settings))
    try:
        services = [build(platform) for build in builds]
        await install_schema(settings, services)
        _hint_on_append(platform, services)
        await _run(platform, services, started, stop or _stop_on_signals(), listener)
    finally:
        platform.terminate()


T = TypeVar("T")


async def _retrying(attempt: Callable[[], Coroutine[None, None, T]], seconds: float = 60.0) -> T:
    """A service that starts before its database waits for it."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            return await attempt()
        except TRANSIENT as error:
            if asyncio.get_running_loop().time() > deadline:
                raise
            log.warning("waiting for the database", reason=repr(error))
            await asyncio.sleep(0.5)


async def install_schema(settings: Settings, services: Sequence[Service]) -> None:
    """Create or update everything in the database, when the settings name an owner."""
    dsn = settings.postgres_owner_dsn.get_secret_value()
    if not dsn:
        return
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock(4241)")
            for service in services:
                await projections.install(connection, service.projections)
                await connection.execute(f"{service.ddl};{_GRANTS}")
    finally:
        await connection.close()


_GRANTS = "grant select, insert, update, delete on all tables in schema work to hallmark_service"


def _hint_on_append(platform: Platform, services: Sequence[Service]) -> None:
    hints = [service.on_append for service in services if service.on_append]

    def hint_all() -> None:
        for hint in hints:
            hint()

    platform.store.on_append = hint_all


class _Server(uvicorn.Server):
    """Leaves signals to us, so that everything stops in order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _run(
    platform: Platform,
    services: Sequence[Service],
    started: Started | None,
    stop: asyncio.Event,
    listener: socket.socket | None,
) -> None:
    settings = platform.settings
    config = uvicorn.Config(
        make_app(platform, services), host=settings.host, port=settings.port, log_config=None, access_log=False,
        timeout_graceful_shutdown=3, lifespan="on", server_header=False,
        http=BoundedProtocol, limit_concurrency=MOST_CONNECTIONS,
        proxy_headers=bool(settings.trusted_proxies), forwarded_allow_ips=settings.trusted_proxies,
    )  # fmt: skip
    server = _Server(config)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(loop()) for loop in loops(platform, services)]
        serving = tasks.create_task(server.serve([listener] if listener else None))
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        if started and server.started:
            running.append(tasks.create_task(started(platform, server.servers[0].sockets[0].getsockname()[1])))
        await asyncio.wait([asyncio.create_task(stop.wait()), serving], return_when=asyncio.FIRST_COMPLETED)
        platform.notifier.stop()
        server.should_exit = True
        await serving
        for task in running:
            task.cancel()


def loops(platform: Platform, services: Sequence[Service]) -> list[Loop]:
    """Everything that runs beside HTTP."""
    found: list[Loop] = [platform.notifier.run]
    for service in services:
        consumer = Consumer(service.name, service.handlers, platform.pool, platform.clock) if service.handlers else None
        found.append(Transport(service.name, platform.settings, platform.pool, consumer, service.inbound).run)
        if service.jobs:
            found.append(JobRunner(service.name, service.jobs, platform.pool, platform.notifier, platform.clock).run)
        if service.projections:
            found.append(Projector(service.projections, platform.pool, platform.notifier).run)
        found += service.background
    return found


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
