"""A whole Hallmark in a process of its own, for as long as its standard input stays open.

The parent reads one JSON line, `{"url", "token", "kafka_bootstrap"}`, once everything answers. When the parent ends,
in whatever way, its end of the pipe closes, and the services, broker and database stop.
"""

import asyncio
import json
import sys
from pathlib import Path
from threading import Thread

import uvloop
from hallmark.cli.administrator import first_token
from pydantic import SecretStr
from registry_core.local.stack import local_stack
from registry_core.runtime import run_services
from registry_core.service import ALL, Platform
from registry_core.settings import Settings


async def serve(data_dir: Path) -> None:
    """Run on embedded parts that are thrown away afterwards, with a clock that may be moved."""
    settings = Settings(
        data_dir=data_dir,
        movable_clock=True,
        log_level="warning",
        checkpoint_seconds=1.0,
        postgres_dsn=SecretStr(""),  # on parts of its own, whatever the environment names
        postgres_owner_dsn=SecretStr(""),
        kafka_bootstrap="",
        objects_url="",
        witnesses="",
    )
    stop = asyncio.Event()
    # Not in an executor, whose threads are waited for: where the start fails, this process has to end.
    Thread(target=_wait_for_parent, args=(stop, asyncio.get_running_loop()), daemon=True).start()
    async with local_stack(data_dir, ephemeral=True, configured=settings) as stack:

        async def started(platform: Platform, port: int) -> None:
            site = {
                "url": f"http://{settings.host}:{port}",
                "token": await first_token(platform),
                "kafka_bootstrap": stack.settings.kafka_bootstrap,
            }
            print(json.dumps(site), flush=True)

        await run_services(stack.settings, ALL, started, stop, stack.listener)


def _wait_for_parent(stop: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
    sys.stdin.buffer.read()
    loop.call_soon_threadsafe(stop.set)


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
