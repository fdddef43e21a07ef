"""A proxy before PostgreSQL that loses an answer after the server has given it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class LossyProxy:
    """Passes bytes both ways. Once `lose` is set, the next request with it is done, and its answer reaches nobody."""

    server: Path
    lose: bytes = b""
    lost: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        server_reader, server = await asyncio.open_unix_connection(str(self.server))
        answers = asyncio.create_task(self._pass_on(server_reader, client))
        self.tasks.add(answers)
        with suppress(ConnectionError):
            while data := await client_reader.read(65536):
                due = bool(self.lose) and self.lose in data
                if due:
                    answers.cancel()
                    await asyncio.wait([answers])
                    self.lose = b""
                server.write(data)
                await server.drain()
                if due:
                    await server_reader.read(65536)  # the server has answered: what was asked for is done
                    self.lost += 1
                    break
        answers.cancel()
        for writer in (client, server):
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def lossy_proxy(server: Path, folder: Path) -> AsyncIterator[LossyProxy]:
    """Listens on `folder/.s.PGSQL.5432`, before the server's socket."""
    proxy = LossyProxy(server)
    listening = await asyncio.start_unix_server(proxy.serve, str(folder / ".s.PGSQL.5432"))
    try:
        yield proxy
    finally:
        listening.close()
        for task in proxy.tasks:
            task.cancel()
