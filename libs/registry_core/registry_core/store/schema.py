"""Installs the SQL of this package: idempotent, and one installer at a time."""

from collections.abc import Mapping
from importlib.resources import files

import asyncpg


def scripts() -> dict[str, str]:
    """The SQL by file name, in the order in which it is run."""
    folder = files("registry_core.store").joinpath("sql")
    found = {path.name: path.read_text() for path in folder.iterdir() if path.name.endswith(".sql")}
    return dict(sorted(found.items()))


async def install(dsn: str, sql: Mapping[str, str] | None = None) -> None:
    """Create or update schemas, functions, triggers and roles. Needs an owner's connection, not the services'.

    `sql` stands in for `scripts()` where a test shows what happens without one of its lines.
    """
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock(4241)")
            for script in (sql or scripts()).values():
                await connection.execute(script)
        await connection.execute("select log.make_missing_tree()")  # by itself: appends go on meanwhile
    finally:
        await connection.close()
