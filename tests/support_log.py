"""The log's schema with one of its remedies taken out, and writers and a network that misbehave."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
from registry_core.events.versions import VersionAdded
from registry_core.store import ANY, Append, schema
from registry_core.store.connections import Pool
from registry_core.store.sealer import Sealer
from support import new


def append(stream: str, count: int = 1) -> Append:
    """Some events for a stream."""
    data = [VersionAdded(ref=f"model:m@1.0.{n}", digest="sha256:" + "0" * 64) for n in range(count)]
    return Append(stream, [new(item) for item in data], ANY)


async def seal_all(pool: Any, sealer: Sealer | None = None) -> None:
    """Until a pass finds nothing."""
    sealing = sealer or Sealer(pool, partitions=4)
    while await sealing.seal_once():
        pass


def without(script: str, snippet: str, instead: str) -> Mapping[str, str]:
    """The schema's scripts with a snippet of one replaced, wherever it stands.

    Raises LookupError when it is not there: whoever changed the script has to say here how the remedy is taken out now.
    """
    scripts = schema.scripts()
    if snippet not in scripts[script]:
        raise LookupError(f"{script} has no {snippet!r} any more; name here what its remedy is now")
    return {**scripts, script: scripts[script].replace(snippet, instead)}


def with_more(script: str, sql: str) -> Mapping[str, str]:
    """The schema's scripts with something added to one."""
    scripts = schema.scripts()
    return {**scripts, script: f"{scripts[script]}\n{sql};"}


async def sealed_streams(pool: Pool) -> dict[str, list[int]]:
    """The versions of each stream, in the order of the log."""
    rows = await pool.fetch(
        "select stream_id, version from log.sealed join log.events using (position) order by log_index"
    )
    found: dict[str, list[int]] = {}
    for row in rows:
        found.setdefault(row["stream_id"], []).append(row["version"])
    return found


async def check_log(pool: Pool, events: int) -> None:
    """So many events are in the log: dense, each once, each stream in its order."""
    indexes = [row["log_index"] for row in await pool.fetch("select log_index from log.sealed order by log_index")]
    assert indexes == list(range(events)), "gaps, or events that were never sealed"
    for stream, versions in (await sealed_streams(pool)).items():
        assert versions == list(range(len(versions))), f"{stream} is out of order"


class LossyNetwork:
    """Stands between client and server; once told so, it breaks the connection in place of handing on an answer."""

    def __init__(self, server: Path) -> None:
        self._server, self._lose = server, b""
        self.lost = 0

    def lose(self, answer: bytes) -> None:
        """Break the connection at the next answer that holds these bytes: the server has done what it answers for."""
        self._lose = answer

    @asynccontextmanager
    async def listen(self, path: Path) -> AsyncIterator[None]:
        server = await asyncio.start_unix_server(self._relay, path)
        try:
            yield
        finally:
            server.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_unix_connection(self._server)
        forward = asyncio.create_task(_copy(reader, requests))
        with suppress(OSError):
            while chunk := await answers.read(1 << 16):
                if self._lose and self._lose in chunk:
                    self._lose, self.lost = b"", self.lost + 1
                    break
                writer.write(chunk)
                await writer.drain()
        forward.cancel()
        writer.close()
        requests.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(1 << 16):
            writer.write(chunk)
            await writer.drain()


async def burn_transaction_ids(owner: asyncpg.Connection, count: int) -> None:
    """Move the cluster's counter on."""
    await owner.execute(f"do $$ begin for n in 1..{count} loop perform pg_current_xact_id(); commit; end loop; end $$")
