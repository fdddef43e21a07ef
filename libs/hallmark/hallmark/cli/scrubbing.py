"""The part of an erasure that only the database's owner can do. Needs the server's packages."""

import asyncio
from pathlib import Path

import asyncpg
from registry_core.local.errors import LocalStackError
from registry_core.settings import Settings


def scrub_database(data: Path | None) -> int:
    """How many bodies were erased. By HALLMARK_POSTGRES_OWNER_DSN, else on the stack that runs on this machine."""
    settings = Settings()
    dsn = settings.postgres_owner_dsn.get_secret_value() or _local_owner_dsn(data or settings.data_dir)
    return asyncio.run(_scrub(dsn))


def _local_owner_dsn(data: Path) -> str:
    from registry_core.local.postgres import SUPERUSER  # noqa: PLC0415 - not installed everywhere
    from registry_core.local.stack import running_dsn  # noqa: PLC0415 - as above

    return running_dsn(data, SUPERUSER)


async def _scrub(dsn: str) -> int:
    try:
        connection = await asyncpg.connect(dsn, timeout=10)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise LocalStackError(
            f"the database does not let its owner in ({error}); set HALLMARK_POSTGRES_OWNER_DSN, or run this while "
            "`hallmark up` runs, as the user that runs it"
        ) from error
    try:
        return await scrub(connection)
    finally:
        await connection.close()


async def scrub(connection: asyncpg.Connection) -> int:
    """Deleted rows stay in their pages until something takes the place; writing the table anew leaves none behind."""
    erased: int = await connection.fetchval("select log.erase_bodies()")
    await connection.execute("vacuum full privacy.subjects")
    await connection.execute("vacuum full privacy.logins")
    if erased:
        await connection.execute("vacuum log.events")
    return erased
