"""When each token was last used: kept in memory, and written for all of them together, at most once a minute.

Not in the log: it says nothing about what happened to a model, and a write for every read would cost more than the
read. A process that is killed loses the last minute of it.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

import structlog

from registry_core.store.connections import TRANSIENT, Pool

log = structlog.get_logger()
WRITE_SECONDS: Final = 60.0

_WRITE: Final = """
    insert into work.token_use (account, token_id, used_at)
    select * from unnest($1::text[], $2::text[], $3::timestamptz[]) order by 1, 2
    on conflict (account, token_id) do update set used_at = greatest(work.token_use.used_at, excluded.used_at)"""
_READ: Final = "select account, token_id, used_at from work.token_use where account = any($1)"


class TokenName(NamedTuple):
    account: str
    token_id: str


class LastUse:
    """Of the tokens that this process has seen."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._used: dict[TokenName, datetime] = {}
        self._due: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    def note(self, token: TokenName, at: datetime) -> None:
        """Costs no I/O."""
        self._used[token] = at
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(WRITE_SECONDS, self._begin)

    def _begin(self) -> None:
        self._due = None
        self._writing = asyncio.create_task(self.write())

    async def write(self) -> None:
        """Now. What cannot be written, because the database is away, waits for the next time."""
        used, self._used = self._used, {}
        if not used:
            return
        try:  # in one order: two processes that write at once must not wait for each other
            accounts, ids = [name.account for name in used], [name.token_id for name in used]
            await self._pool.execute(_WRITE, accounts, ids, list(used.values()))
        except TRANSIENT as error:
            self._used = used | self._used
            log.warning("the last use of tokens is not written yet", reason=repr(error))

    async def close(self) -> None:
        """Write what is left."""
        if self._due is not None:
            self._due.cancel()
        await self.write()


async def last_used(pool: Pool, accounts: list[str]) -> Mapping[TokenName, datetime]:
    """Tokens of these accounts that were ever used, as far as it has been written."""
    rows = await pool.fetch(_READ, accounts)
    return {TokenName(row["account"], row["token_id"]): row["used_at"] for row in rows}
