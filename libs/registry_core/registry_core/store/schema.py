"""Installs the SQL of this package: idempotent, and one installer at a time."""

from importlib.resources import files

import asyncpg


async def install(dsn: str) -> None:
    """Create or update schemas, functions, triggers and roles. Needs an owner's connection, not the services'."""
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock(4241)")
            for script in sorted(files("registry_core.store").joinpath("sql").iterdir(), key=lambda path: path.name):
                if script.name.endswith(".sql"):
                    await connection.execute(script.read_text())
    finally:
        await connection.close()
