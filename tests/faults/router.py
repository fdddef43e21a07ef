"""One address for all services: each connection carries one request to the service whose routes take its path."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from litestar.routes import HTTPRoute
from registry_core.http.app import make_app
from registry_core.service import Platform, Service

Route = tuple[re.Pattern[bytes], str]
PortOf = Callable[[str], int]
_NOT_FOR_OUTSIDE = ("/health", "/metrics", "/schema")
_CONNECTION = re.compile(rb"\r\nconnection:[^\r\n]*", re.IGNORECASE)
_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def routes_of(platform: Platform, services: Sequence[Service]) -> list[Route]:
    """Every path of every service, as its own application has it."""
    return [
        (re.compile(_pattern(route.path).encode()), service.name)
        for service in services
        for route in make_app(platform, [service]).routes
        if isinstance(route, HTTPRoute) and not route.path.startswith(_NOT_FOR_OUTSIDE)
    ]


def _pattern(path: str) -> str:
    """`/v1/versions/{ref:str}/files/{name:path}` as a regular expression."""
    parts = re.split(r"(\{[^}]*\})", path)
    kinds = [re.escape(p) if not p.startswith("{") else ".+" if p.endswith(":path}") else "[^/]+" for p in parts]
    return "".join(kinds)


@asynccontextmanager
async def router(routes: Sequence[Route], port_of: PortOf) -> AsyncIterator[str]:
    """Its URL. A service that does not answer is a 503; one that dies in the middle is a broken connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):  # either side may be gone at any time
            head = await reader.readuntil(b"\r\n\r\n")
            await _forward(head, reader, writer, port_of(_service(routes, head)))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def _service(routes: Sequence[Route], head: bytes) -> str:
    path = head.split(b" ", 2)[1].partition(b"?")[0]
    return next((name for pattern, name in routes if pattern.fullmatch(path)), "console")


async def _forward(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    try:
        answer, upstream = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        writer.write(_UNAVAILABLE)
        return
    upstream.write(_CONNECTION.sub(b"", head).replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
    body = asyncio.create_task(_pump(reader, upstream))
    try:
        await _pump(answer, writer)
    finally:
        body.cancel()
        upstream.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(1 << 16):
            writer.write(chunk)
            await writer.drain()
