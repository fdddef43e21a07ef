"""The console served over real HTTP, for its tests."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import uvicorn
from hallmark_console.bootstrap import build
from registry_core.events import Event
from registry_core.events.governance import AccountCreated, RolesChanged
from registry_core.http.app import make_app
from registry_core.identity import account_stream, new_token
from registry_core.runtime import install_schema, loops
from registry_core.service import Platform, Service, open_platform
from registry_core.settings import Settings
from registry_core.store import ANY, Append
from registry_core.store.sealer import Sealer
from support import new
from support_portfolio import Entry


async def add_account(platform: Platform, account: str, *roles: str) -> str:
    """An account with these roles; its token."""
    token, issued = new_token(account)
    created = AccountCreated(account=account, kind="human", person=account, display_name=account)
    await append(
        platform, account_stream(account), created, RolesChanged(account=account, roles=roles), issued, by="admin"
    )
    return token


async def append(platform: Platform, stream: str, *events: Event, by: str = "ci") -> int:
    """Append and wait until sealed; the log index of the last event."""
    made = [new(event, by, platform.clock()) for event in events]
    await platform.store.append(Append(stream, made, ANY))
    index = await platform.store.wait_sealed(made[-1].id)
    assert index is not None
    return index


async def seed(platform: Platform, entries: Sequence[Entry]) -> int:
    """Append a portfolio in the order in which it occurred; the log index of its last event."""
    made = []
    for stream, event, actor, occurred_at in entries:
        made.append(new(event, actor, occurred_at))
        await platform.store.append(Append(stream, [made[-1]], ANY))
    index = await platform.store.wait_sealed(made[-1].id)
    assert index is not None
    return index


@dataclass(frozen=True, slots=True)
class Console:
    """A console that answers at `url`."""

    platform: Platform
    service: Service
    url: str
    server: uvicorn.Server


class _Server(uvicorn.Server):
    """Leaves signals to the test run."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def console(settings: Settings) -> AsyncIterator[Console]:
    """The console over HTTP on a free port, with the sealer and its projections running."""
    platform = await open_platform(settings)
    service = build(platform)
    await install_schema(settings, [service])
    sealer = Sealer(platform.ledger, settings.kafka_partitions)
    platform.store.on_append = sealer.wake
    config = uvicorn.Config(
        make_app(platform, [service]), host="127.0.0.1", port=0, log_config=None, timeout_graceful_shutdown=1
    )
    server = _Server(config)
    running = [asyncio.create_task(loop()) for loop in (sealer.run, *loops(platform, [service]))]
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Console(platform, service, f"http://127.0.0.1:{port}", server)
    finally:
        server.should_exit = True
        await serving
        for task in running:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*running, return_exceptions=True)
        platform.terminate()
