"""Whether what the settings name can be reached, beside what the machine itself must offer."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import asyncpg
import httpx
from registry_core.local.doctor import Check, examine
from registry_core.messaging import kafka
from registry_core.objects import ObjectStorage
from registry_core.settings import Settings

from hallmark import credentials

_SECONDS: Final = 10.0
_OLDEST_POSTGRES: Final = 150_000
_NO_OBJECT: Final = "sha256:" + "0" * 64


def examine_all(data: Path | None) -> list[Check]:
    """All checks; nothing is changed."""
    settings = Settings()
    return [*examine(data or settings.data_dir, port=settings.port), *asyncio.run(_examine_settings(settings))]


async def _examine_settings(settings: Settings) -> list[Check]:
    checks = []
    if dsn := settings.postgres_dsn.get_secret_value():
        checks.append(await _check("database", "HALLMARK_POSTGRES_DSN", lambda: _database(dsn)))
    if ledger := settings.postgres_ledger_dsn.get_secret_value():
        checks.append(await _check("database as ledger", "HALLMARK_POSTGRES_LEDGER_DSN", lambda: _database(ledger)))
    if owner := settings.postgres_owner_dsn.get_secret_value():
        checks.append(await _check("database as owner", "HALLMARK_POSTGRES_OWNER_DSN", lambda: _database(owner)))
    if settings.kafka_bootstrap:
        checks.append(await _check("broker", "HALLMARK_KAFKA_BOOTSTRAP", lambda: _broker(settings)))
    if settings.objects_url:
        checks.append(await _check("objects", "HALLMARK_OBJECTS_URL", lambda: _objects(settings)))
    if credentials.load() or _url_is_set():
        checks.append(await _check("server", "HALLMARK_URL", _server, required=False))
    return checks


def _url_is_set() -> bool:
    return credentials.resolve().url != credentials.DEFAULT_URL


async def _check(name: str, setting: str, look: Callable[[], Awaitable[str]], *, required: bool = True) -> Check:
    try:
        async with asyncio.timeout(_SECONDS):
            return Check(name, True, await look(), required=required)
    except Exception as error:  # whatever a driver raises is the finding
        reason = str(error) or type(error).__name__
        return Check(name, False, reason, f"see that it runs and that {setting} leads to it", required)


async def _database(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    try:
        number = int(await connection.fetchval("show server_version_num"))
        if number < _OLDEST_POSTGRES:
            raise RuntimeError(f"PostgreSQL {number // 10_000} is too old; 15 or newer is needed")
        return f"PostgreSQL {number // 10_000}"
    finally:
        await connection.close()


async def _broker(settings: Settings) -> str:
    from aiokafka.admin import AIOKafkaAdminClient  # noqa: PLC0415 - only where a broker is named

    admin = AIOKafkaAdminClient(**kafka.client_options(settings), request_timeout_ms=5_000)
    try:
        await admin.start()
        return f"{len(await admin.list_topics())} topics at {settings.kafka_bootstrap}"
    finally:
        await admin.close()


async def _objects(settings: Settings) -> str:
    await ObjectStorage.open(settings).has(_NO_OBJECT)
    return f"answers at {settings.objects_url}"


async def _server() -> str:
    url = credentials.resolve().url
    async with httpx.AsyncClient(timeout=_SECONDS) as http:
        response = await http.get(f"{url}/health/ready")
        response.raise_for_status()
    return f"ready at {url}"
