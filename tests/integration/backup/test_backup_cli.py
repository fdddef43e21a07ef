"""`hallmark backup` and `hallmark restore` on the installation of one machine, running or not."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from registry_core.local.postgres import OWNER, SUPERUSER, postgres
from registry_core.objects import ObjectStorage
from registry_core.proofs.keys import load_or_generate_key
from registry_core.store import schema
from registry_core.store.postgres import PostgresEventStore
from support_log import append, check_log, seal_all

HALLMARK = Path(sys.executable).with_name("hallmark")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("HALLMARK_")}
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that the account which root's PostgreSQL runs as can enter."""
    with tempfile.TemporaryDirectory(prefix="hallmark-backup-", ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o711)
        yield Path(name)


async def hallmark(*arguments: object) -> tuple[int, Any]:
    """Exit code, and the document on standard output or error."""
    process = await asyncio.create_subprocess_exec(
        HALLMARK, *map(str, arguments), "--json", env=ENVIRONMENT, stdout=-1, stderr=-1
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(out or err)


async def write(dsn: str, count: int) -> None:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
        await PostgresEventStore(pool).append(*[append(f"s{n}") for n in range(count)])
        await seal_all(pool)


async def test_an_installation_is_backed_up_and_put_back(place: Path) -> None:
    data, new = place / "data", place / "new"
    (data / "keys").mkdir(parents=True)
    load_or_generate_key(data / "keys" / "ledger.pem")
    digest = await ObjectStorage.in_folder(data / "objects").put(b"an artifact")
    async with postgres(data / "postgres") as server:
        dsn = server.dsn_of(OWNER, role=SUPERUSER)
        await schema.install(dsn)
        await write(dsn, 7)
        code, running = await hallmark("backup", place / "while it runs", "--data", data)
        assert (code, running["log"]["size"], running["artifacts"]) == (0, 7, 1)
    code, made = await hallmark("backup", place / "backup", "--data", data, "--keys", place / "keys")
    assert (code, made["log"]) == (0, running["log"])
    code, told = await hallmark("backup", place / "backup", "--data", data)
    assert (code, "exists already" in told["detail"]) == (1, True)

    code, restored = await hallmark("restore", place / "backup", "--data", new, "--keys", place / "keys")
    assert (code, restored) == (0, made)
    assert await ObjectStorage.in_folder(new / "objects").get(digest) == b"an artifact"
    assert (new / "keys" / "ledger.pem").read_bytes() == (data / "keys" / "ledger.pem").read_bytes()
    code, told = await hallmark("restore", place / "backup", "--data", new)
    assert (code, "not empty" in told["detail"]) == (1, True)
    async with (
        postgres(new / "postgres") as server,
        asyncpg.create_pool(server.dsn_of(OWNER, role=SUPERUSER), min_size=1, max_size=2) as pool,
    ):
        await check_log(pool, 7)


async def test_what_is_no_backup_is_refused(place: Path) -> None:
    (place / "something").mkdir()
    code, told = await hallmark("restore", place / "something", "--data", place / "new")
    assert (code, "is no backup" in told["detail"]) == (1, True)
    assert not (place / "new").exists()
