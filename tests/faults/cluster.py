"""Every service as a process of its own, started again at once whenever it ends, as Kubernetes would.

Each is a fork of multiprocessing's fork server, which has imported everything and runs nothing: a restart then takes
a tenth of a second instead of two, so that kills meet services at work and not at their imports. What the fork runs
is `hallmark serve <service>`.
"""

import asyncio
import multiprocessing
import os
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from signal import SIGKILL
from threading import Thread
from typing import Any

from faults.router import Route, router, routes_of
from hallmark.cli.administrator import first_token
from hallmark_demo.journey import Site
from pydantic import SecretStr
from registry_core.local import ports
from registry_core.messaging.consumer import Consumer
from registry_core.runtime import install_schema
from registry_core.service import ALL, Service, find_services, open_platform
from registry_core.settings import Settings

_PRELOADED = ["__main__", "hallmark.cli.running", *(f"hallmark_{name}.bootstrap" for name in ALL)]
_SERVERS = multiprocessing.get_context("forkserver")
_SERVERS.set_forkserver_preload(_PRELOADED)


@dataclass(frozen=True, slots=True)
class Installation:
    """What a new installation has before its services run."""

    token: str
    routes: list[Route]
    topics: Mapping[str, list[str]]
    """What each consumer follows."""
    projections: list[str]


@dataclass(slots=True)
class Cluster:
    site: Site
    installation: Installation
    folder: Path
    processes: dict[str, BaseProcess] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)

    def kill(self, name: str) -> None:
        """SIGKILL, if it lives."""
        process = self.processes[name]
        if process.is_alive() and process.pid:
            os.kill(process.pid, SIGKILL)
            self.kills[name] += 1


@asynccontextmanager
async def cluster(settings: Settings, installed: Installation, folder: Path) -> AsyncIterator[Cluster]:
    """All services behind one address."""
    made = Cluster(Site("", installed.token, settings.kafka_bootstrap), installed, folder)
    async with router(installed.routes, lambda name: made.ports[name]) as url:
        made.site = Site(url, installed.token, settings.kafka_bootstrap)
        keepers = [asyncio.create_task(_keep_running(made, name, settings)) for name in ALL]
        try:
            yield made
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)


async def install(settings: Settings, folder: Path) -> Installation:
    """The schema and the first administrator. The keys made on the way are not those of the services."""
    platform = await open_platform(settings.model_copy(update={"data_dir": folder / "installer"}))
    try:
        services = [build(platform) for build in find_services(ALL)]
        await install_schema(settings, services)
        token = await first_token(platform)
        topics = {s.name: Consumer(s.name, s.handlers, platform.pool, platform.clock).topics for s in services}
        return Installation(token or "", routes_of(platform, services), topics, _tables(services))
    finally:
        platform.terminate()


def _tables(services: list[Service]) -> list[str]:
    return [projection.table for service in services for projection in service.projections]


async def _keep_running(cluster: Cluster, name: str, settings: Settings) -> None:
    while True:
        cluster.ports[name] = ports.choose()  # a port of its own each time: the last may be taken by now
        environment = _environment(settings, cluster.ports[name])
        process = _SERVERS.Process(target=_serve, args=(name, environment, cluster.folder), name=name, daemon=True)
        process.start()
        cluster.processes[name] = process
        try:
            await _ended(process)
        finally:
            process.kill()
            process.join()


async def _ended(process: BaseProcess) -> None:
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(process.sentinel, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(process.sentinel)


def _environment(settings: Settings, port: int) -> dict[str, str]:
    """Settings as a deployment gives them; the owner's connection is the installer's alone."""
    values: dict[str, Any] = {**dict(settings), "port": port, "postgres_owner_dsn": ""}
    shown = {k: v.get_secret_value() if isinstance(v, SecretStr) else v for k, v in values.items()}
    return {f"HALLMARK_{name.upper()}": str(value) for name, value in shown.items() if value is not None}


def _serve(name: str, environment: Mapping[str, str], folder: Path) -> None:
    """In the process of its own."""
    from hallmark.cli.running import run_serve

    os.environ.update(environment)
    os.chdir(folder)
    log = os.open(f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    Thread(target=_end_with_the_tests, daemon=True).start()
    run_serve([name])


def _end_with_the_tests() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
