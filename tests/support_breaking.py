"""A proxy before an HTTP server that cuts connections after so many bytes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class BreakingProxy:
    """Each connection takes the next of the cuts: bytes after which it ends, `up` to the server or `down` from it."""

    host: str
    port: int
    up: list[int] = field(default_factory=list)
    down: list[int] = field(default_factory=list)
    cuts: int = 0
    passed: int = 0
    """Bytes to the server, of all connections."""
    url: str = ""

    def move(self, url: str) -> None:
        """New connections go to the server at another URL."""
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 80

    async def serve(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            server_reader, server = await asyncio.open_connection(self.host, self.port)
        except OSError:
            client.close()
            return
        both = [
            asyncio.create_task(self._pass_on(client_reader, server, self.up)),
            asyncio.create_task(self._pass_on(server_reader, client, self.down)),
        ]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()
        for writer in (client, server):
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cuts: list[int]) -> None:
        left = None
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if left is None and cuts:
                    left = cuts.pop(0)
                if left is not None and len(data) > left:
                    self.cuts += 1
                    data = data[:left]
                    writer.write(data)
                    await writer.drain()
                    return
                left = left - len(data) if left is not None else None
                self.passed += len(data) if cuts is self.up else 0
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def breaking_proxy(url: str) -> AsyncIterator[BreakingProxy]:
    """Before the server at a URL; its own is `proxy.url`."""
    proxy = BreakingProxy("", 0)
    proxy.move(url)
    listening = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        listening.close()
