"""Types of connections to PostgreSQL, and which of their errors a later attempt may not meet."""

from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
else:
    Pool = asyncpg.Pool
    Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

_LOST = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
TRANSIENT = (
    *_LOST,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.OperatorInterventionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.DiskFullError,
    TimeoutError,
)
"""Errors that a later attempt may not meet."""


async def open_pool(dsn: str, *, min_size: int = 0, max_size: int) -> Pool:
    """Connections to be shared. Raises OSError or PostgresError where `min_size` of them cannot be made."""
    return await asyncpg.create_pool(dsn, min_size=min_size, max_size=max_size, command_timeout=30, reset=_as_it_is)


async def _as_it_is(_: object) -> None:
    """Nothing here sets, locks or listens for a session, so a connection given back needs no query to forget it.

    Half of all round trips were that query. An open transaction is still rolled back: asyncpg looks at it first.
    """
