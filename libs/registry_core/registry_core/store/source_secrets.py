"""Secrets of sources, and what these are asked with: beside the log, wrapped under the privacy key, never shown again.

HMAC needs the plain secret, so a hash of it would not do. A dump holds wrapped secrets alone, which are worth nothing
without that key (docs/sources.md).
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from registry_core.personal import PrivacyKey
from registry_core.store.connections import Connection, Pool


class SourceSecrets:
    """Raises PrivacyKeyError where the key is not the one that they were wrapped under."""

    def __init__(self, load: Callable[[], PrivacyKey]) -> None:
        self._load = load
        self._loaded: PrivacyKey | None = None

    async def valid(self, connection: Connection | Pool, source: str, now: datetime) -> Sequence[str]:
        """The secret in force, and those before it whose time is not over; the newest first."""
        rows = await connection.fetch(
            """select id, wrapped from secrets.sources
                where source = $1 and (valid_until is null or valid_until > $2) order by made_at desc, id""",
            source, now,
        )  # fmt: skip
        return [self._unwrapped(source, row["id"], row["wrapped"]) for row in rows]

    async def find(self, connection: Connection | Pool, source: str, secret: UUID) -> str | None:
        wrapped = await connection.fetchval(
            "select wrapped from secrets.sources where id = $1 and source = $2 and valid_until is null", secret, source
        )
        return self._unwrapped(source, secret, wrapped) if wrapped else None

    async def replace(
        self, connection: Connection, source: str, secret: tuple[UUID, str], now: datetime, former_until: datetime
    ) -> None:
        """Put a secret in force; those before it hold no longer than until then, and those long over go."""
        made, text = secret
        await connection.execute(
            """update secrets.sources set valid_until = least(coalesce(valid_until, $2), $2)
                where source = $1""", source, former_until,
        )  # fmt: skip
        await connection.execute("delete from secrets.sources where source = $1 and valid_until <= $2", source, now)
        await connection.execute(
            "insert into secrets.sources (id, source, wrapped, made_at) values ($1, $2, $3, $4)",
            made, source, self._key.wrap(text.encode(), _bound_to(source, made)), now,
        )  # fmt: skip

    async def forget(self, connection: Connection, source: str) -> None:
        """Everything of it."""
        await connection.execute("delete from secrets.sources where source = $1", source)
        await self.forget_credential(connection, source)

    async def credential(self, connection: Connection | Pool, source: str) -> str | None:
        """What the source is asked with: `user:password`, or a token; None where none was given."""
        wrapped = await connection.fetchval("select wrapped from secrets.credentials where source = $1", source)
        return self._key.unwrap(wrapped, _asking(source)).decode() if wrapped else None

    async def keep_credential(self, connection: Connection | Pool, source: str, text: str, now: datetime) -> None:
        await connection.execute(
            """insert into secrets.credentials (source, wrapped, set_at) values ($1, $2, $3)
               on conflict (source) do update set wrapped = excluded.wrapped, set_at = excluded.set_at""",
            source, self._key.wrap(text.encode(), _asking(source)), now,
        )  # fmt: skip

    async def forget_credential(self, connection: Connection | Pool, source: str) -> None:
        await connection.execute("delete from secrets.credentials where source = $1", source)

    def _unwrapped(self, source: str, secret: UUID, wrapped: bytes) -> str:
        return self._key.unwrap(wrapped, _bound_to(source, secret)).decode()

    @property
    def _key(self) -> PrivacyKey:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded


def _bound_to(source: str, secret: UUID) -> str:
    """Associated data, so that no row can stand in for another one. No pseudonym begins so."""
    return f"source:{source}:{secret}"


def _asking(source: str) -> str:
    return f"credential:{source}"


async def credentials_set(pool: Pool) -> dict[str, datetime]:
    """By source that has one, when its credential was given."""
    return {row["source"]: row["set_at"] for row in await pool.fetch("select source, set_at from secrets.credentials")}
