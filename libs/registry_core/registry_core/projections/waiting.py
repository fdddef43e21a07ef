"""How far a view is, and waiting until it is further."""

import asyncio
from contextlib import closing
from typing import Protocol

from registry_core.notifier import PROJECTED, Notifier
from registry_core.store.connections import Connection, Pool

BEGINNING = -1
"""Before every event."""


class Named(Protocol):
    """A projection, or its view."""

    @property
    def name(self) -> str: ...


async def stands_at(pool: Pool | Connection, view: Named) -> int:
    """The log index up to which the table that the view shows has taken events in."""
    done = await pool.fetchval(
        "select log_index from work.projections where projection = $1 and state = 'live'", view.name
    )
    return BEGINNING if done is None else int(done)


async def wait_projected(pool: Pool, notifier: Notifier, view: Named, at_least: int, timeout: float) -> bool:
    """Until the view shows the event with log index `at_least`, whichever table it is. False at the timeout."""
    deadline = asyncio.get_running_loop().time() + timeout
    with closing(notifier.subscribe(PROJECTED, view.name)) as projected:
        while True:
            done = await stands_at(pool, view)
            left = deadline - asyncio.get_running_loop().time()
            if done >= at_least:
                return True
            if left <= 0:
                return False
            await projected.wait(min(left, 0.25))
