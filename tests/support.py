"""What several tests share."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TypeVar
from uuid import uuid4

import httpx
from registry_core.events import Event, NewEvent, Origin, RecordedEvent
from registry_core.events.governance import AccountCreated, RolesChanged
from registry_core.http.app import make_app
from registry_core.identity import account_stream, new_token
from registry_core.local import ports
from registry_core.messaging.unit_of_work import PoolReader
from registry_core.runtime import install_schema, loops, run_services
from registry_core.service import Build, Platform, Service, open_platform
from registry_core.settings import Settings
from registry_core.store import ANY, Append
from registry_core.store.memory import MemoryEventStore

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
T = TypeVar("T")

__all__ = ["NOW", "MemoryReader", "PoolReader", "http", "new", "record", "running", "token_of", "until"]


def new(data: Event, actor: str = "alice", occurred_at: datetime = NOW) -> NewEvent:
    """An event on its way into a store."""
    return NewEvent(id=uuid4(), data=data, origin=Origin(actor=actor, occurred_at=occurred_at, correlation_id=uuid4()))


async def record(store: MemoryEventStore, stream: str, *events: Event, actor: str = "alice") -> list[RecordedEvent]:
    """Given: these events are on the stream. They come back as recorded."""
    await store.append(Append(stream, [new(data, actor) for data in events], ANY))
    return (await store.read_streams([stream]))[stream][-len(events) :]


class MemoryReader:
    """A handler's view of a store in memory."""

    def __init__(self, store: MemoryEventStore, now: datetime = NOW) -> None:
        self._store, self._now = store, now

    @property
    def now(self) -> datetime:
        return self._now

    async def read_only(self, stream: str, *types: type[Event]) -> list[RecordedEvent]:
        return [event for event in (await self.read(stream))[0] if event.model in types]

    async def read(self, *streams: str) -> list[list[RecordedEvent]]:
        found = await self._store.read_streams(streams)
        return [found[stream] for stream in streams]


async def until(condition: Callable[[], Awaitable[T]], seconds: float = 20.0) -> T:
    """Wait for a condition that other processes bring about; its first true value."""
    async with asyncio.timeout(seconds):
        while not (value := await condition()):  # noqa: ASYNC110 - another process brings it about
            await asyncio.sleep(0.02)
    return value


@asynccontextmanager
async def http(platform: Platform, services: Sequence[Service], token: str = "") -> AsyncIterator[httpx.AsyncClient]:
    """A client of these services' routes."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    app = make_app(platform, services)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # both are ASGI
    async with httpx.AsyncClient(transport=transport, base_url="http://hallmark", headers=headers) as client:
        yield client
    await app.state.last_use.close()  # its timer would outlive the database


async def token_of(platform: Platform, account: str, *roles: str, person: str | None = None) -> str:
    """A new account with these roles, and a token for it."""
    text, issued = new_token(account)
    created = AccountCreated(account=account, kind="human", person=person or account)
    events: list[Event] = [created, RolesChanged(account=account, roles=roles), issued]
    await platform.store.append(Append(account_stream(account), [new(data) for data in events], ANY))
    return text


@asynccontextmanager
async def running(settings: Settings, builds: Sequence[Build]) -> AsyncIterator[tuple[Platform, list[Service]]]:
    """Services with all their loops, without HTTP."""
    platform = await open_platform(settings)
    tasks: list[asyncio.Task[None]] = []
    try:
        services = [build(platform) for build in builds]
        await install_schema(settings, services)
        tasks = [asyncio.create_task(loop()) for loop in loops(platform, services)]
        yield platform, services
    finally:
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
        platform.terminate()


@asynccontextmanager
async def served(settings: Settings, services: Sequence[str]) -> AsyncIterator[tuple[Platform, str]]:
    """Services as they run in production, over HTTP on a free port; their platform and address."""
    started: asyncio.Future[tuple[Platform, int]] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()

    async def tell(platform: Platform, port: int) -> None:
        started.set_result((platform, port))

    with ports.listen("127.0.0.1", 0) as listener:
        serving = asyncio.create_task(run_services(settings, services, tell, stop, listener))
        await asyncio.wait([started, serving], return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            await serving  # why it could not start
        platform, port = started.result()
        try:
            yield platform, f"http://127.0.0.1:{port}"
        finally:
            stop.set()
            await serving
