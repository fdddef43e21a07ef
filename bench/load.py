"""Clients of an HTTP server that keep their connection and cost little: both sides of a workload share two cores."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from tempfile import TemporaryFile
from time import monotonic
from typing import IO, Any

HOST = "127.0.0.1"
PATIENCE = 300
"""Seconds for a server to start in; MLflow's four workers take half a minute on two processors."""


class Client:
    """One connection, one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def post(self, path: str, document: Any, headers: Mapping[str, str] = {}) -> None:
        """Raises RuntimeError for any answer but a success."""
        status, body = await self.ask("POST", path, json.dumps(document).encode(), headers)
        if not 200 <= status < 300:
            raise RuntimeError(f"{path} answered {status}: {body[:500].decode('utf-8', 'replace')}")

    async def ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        sent = {"content-type": "application/json", **headers}
        named = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        self._writer.write(
            f"{method} {path} HTTP/1.1\r\nhost: {HOST}\r\n{named}content-length: {len(body)}\r\n\r\n".encode() + body
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        return int(head.split(None, 2)[1]), await self._reader.readexactly(length)


@asynccontextmanager
async def clients(port: int, count: int) -> AsyncIterator[list[Client]]:
    """That many open connections."""
    opened = [await asyncio.open_connection(HOST, port) for _ in range(count)]
    try:
        yield [Client(*connection) for connection in opened]
    finally:
        for _, writer in opened:
            writer.close()


@asynccontextmanager
async def server(*argv: str, health: str, port: int, env: Mapping[str, str] | None = None) -> AsyncIterator[None]:
    """A program that answers HTTP, once it does; ended with SIGTERM.

    Raises RuntimeError with its last words when it ends, or does not answer within PATIENCE.
    """
    with TemporaryFile() as said:
        process = await asyncio.create_subprocess_exec(*argv, stdout=said, stderr=said, env=env, start_new_session=True)
        try:
            await _until_it_answers(process, f"{' '.join(argv)[:200]}", said, port, health)
            yield
        finally:
            await _end(process)


async def _until_it_answers(
    process: asyncio.subprocess.Process, name: str, said: IO[bytes], port: int, health: str
) -> None:
    until = monotonic() + PATIENCE
    while not await _answers(port, health):
        ended = process.returncode is not None
        if ended or monotonic() > until:
            what = f"ended with {process.returncode}" if ended else f"did not answer {health} in {PATIENCE} s"
            said.seek(0)
            raise RuntimeError(f"{name} {what}:\n{said.read()[-2000:].decode('utf-8', 'replace')}")
        await asyncio.sleep(0.2)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Its whole group: MLflow's workers do not end with it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 10)


async def _answers(port: int, path: str) -> bool:
    try:
        async with clients(port, 1) as (client,):
            return (await client.ask("GET", path, b"", {"connection": "close"}))[0] == 200
    except (OSError, asyncio.IncompleteReadError, ValueError):
        return False
