"""A sealer as a process of its own, to be killed: a fork of a server that has imported everything and runs nothing.

So a new one is at work in a tenth of a second, and kills meet sealers that seal.
"""

import asyncio
import multiprocessing
import os
from multiprocessing.process import BaseProcess
from threading import Thread

from registry_core.store.connections import TRANSIENT, open_pool
from registry_core.store.sealer import Sealer

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload([__name__])


def start_sealer(dsn: str, partitions: int) -> BaseProcess:
    """Seals until killed, or until this process ends."""
    process = _SERVER.Process(target=_run, args=(dsn, partitions), daemon=True)
    process.start()
    return process


def _run(dsn: str, partitions: int) -> None:
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    Thread(target=_end_with_parent, daemon=True).start()
    asyncio.run(_seal(dsn, partitions))


async def _seal(dsn: str, partitions: int) -> None:
    while True:
        try:
            pool = await open_pool(dsn, min_size=1, max_size=2)
        except TRANSIENT:
            await asyncio.sleep(0.1)
            continue
        await Sealer(pool, partitions).run()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
