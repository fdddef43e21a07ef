"""How an issuer's subject leads to a login and its account: beside the log, so that it can be destroyed.

A subject is found by HMAC-SHA256 under a key that the database was begun with, so every service finds it without the
privacy key. Whoever reads both the key and `privacy.logins` can only try subjects that they know already.
"""

import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from registry_core.store.connections import Connection, Pool

_LOCK: Final = 4244
"""Class of the advisory locks of subjects; ours, too, are 4241 and 4243."""


@dataclass(frozen=True, slots=True)
class Held:
    """Where a subject leads. Whether it holds, the account's stream says."""

    account: str
    login: str


def new_login() -> str:
    return f"l-{secrets.token_hex(10)}"


def new_workload() -> str:
    return f"w-{secrets.token_hex(10)}"


class Logins:
    """Logins and workloads of this installation."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._secret: bytes | None = None

    async def find(self, issuer: str, subject: str, connection: Connection | None = None) -> Held | None:
        """With a connection, in whose transaction nobody else changes it meanwhile."""
        lookup = await self._lookup(issuer, subject)
        if connection:  # a row lock alone would not do: two may link somebody who is not there yet
            await connection.execute(
                "select pg_advisory_xact_lock($1, $2)", _LOCK, int.from_bytes(lookup[:4], "big", signed=True)
            )
        query = f"select account, login from privacy.logins where lookup = $1 {'for update' if connection else ''}"
        row = await (connection or self._pool).fetchrow(query, lookup)
        return Held(row["account"], row["login"]) if row else None

    async def hold(self, connection: Connection, issuer: str, subject: str, held: Held) -> None:
        """From now on the subject leads here."""
        await connection.execute(
            """insert into privacy.logins (lookup, login, account) values ($1, $2, $3)
               on conflict (lookup) do update set login = excluded.login, account = excluded.account""",
            await self._lookup(issuer, subject), held.login, held.account,
        )  # fmt: skip

    async def drop(self, login: str) -> None:
        await self._pool.execute("delete from privacy.logins where login = $1", login)

    async def bind(self, issuer: str, account: str) -> None:
        """Pipelines of this issuer may come as the account."""
        await self._pool.execute(
            "insert into work.workloads (issuer, account) values ($1, $2) on conflict do nothing", issuer, account
        )

    async def bound(self, issuer: str) -> list[str]:
        """Accounts that pipelines of this issuer may come as."""
        rows = await self._pool.fetch("select account from work.workloads where issuer = $1 order by account", issuer)
        return [row["account"] for row in rows]

    async def secret(self, use: str) -> bytes:
        """32 bytes for one use, the same in every process of the installation."""
        if self._secret is None:
            self._secret = bytes(await self._pool.fetchval("select key from privacy.login_key"))
        info = f"hallmark {use} v1".encode()
        return HKDF(SHA256(), length=32, salt=None, info=info).derive(self._secret)

    async def _lookup(self, issuer: str, subject: str) -> bytes:
        named = json.dumps([issuer, subject]).encode()
        return hmac.digest(await self.secret("login lookup"), named, "sha256")
