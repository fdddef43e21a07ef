"""Where persons' keys are kept, and how a name leads to its pseudonym: beside the log, so that both can be destroyed.

Schema `privacy`: `subjects` has one row per person or customer, found by a keyed hash of the name; `accounts` tells
whose an account is. No name is in either. Deleting a subject's row is the erasure (docs/privacy.md).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from registry_core.personal import (
    Kind,
    PrivacyKey,
    PrivacyKeyError,
    Sealed,
    is_pseudonym,
    new_key,
    new_pseudonym,
    seal,
    unseal,
)
from registry_core.store.connections import Connection, Pool

ATTEMPTS = 5
"""To find a row that others are erasing at the same time."""


@dataclass(frozen=True, slots=True)
class Person:
    """A pseudonym and the key that opens what is sealed for it."""

    pseudonym: str
    key: bytes

    def seal(self, text: str) -> Sealed:
        return seal(text, self.pseudonym, self.key)


class Vault:
    """Persons and customers of this installation. Raises PrivacyKeyError where the key is not the installation's."""

    def __init__(self, pool: Pool, load: Callable[[], PrivacyKey]) -> None:
        self._pool, self._load = pool, load
        self._loaded: PrivacyKey | None = None

    async def claim(self) -> None:
        """Make the key the installation's at its first start; later see to it that it is the same."""
        await self._pool.execute(
            "insert into privacy.installation (key_check) values ($1) on conflict do nothing", self._key.check
        )
        if await self._pool.fetchval("select key_check from privacy.installation") != self._key.check:
            raise PrivacyKeyError(
                "the privacy key is not the one this database was begun with, so persons and customers could not be "
                "told apart; set HALLMARK_PRIVACY_KEY to the same value for ingestion and lifecycle, or restore "
                "keys/privacy.pem in the data folder"
            )

    async def identify(self, connection: Connection, name: str, account: str) -> Person:
        """The person of this name, made at first use, whose the account is or is about to be. In a transaction."""
        (pseudonym,) = (await self.pseudonyms(connection, "p", [name])).values()
        await connection.execute(
            "insert into privacy.accounts (account, pseudonym) values ($1, $2) on conflict do nothing",
            account, pseudonym,
        )  # fmt: skip
        wrapped = await connection.fetchval("select wrapped_key from privacy.subjects where pseudonym = $1", pseudonym)
        return Person(pseudonym, self._key.unwrap(wrapped, pseudonym))

    async def person(self, connection: Connection, pseudonym: str) -> Person | None:
        """Who is known by the pseudonym, not to be erased before the caller's transaction ends; None once they are."""
        wrapped = await connection.fetchval(
            "select wrapped_key from privacy.subjects where pseudonym = $1 for key share", pseudonym
        )
        return Person(pseudonym, self._key.unwrap(wrapped, pseudonym)) if wrapped else None

    async def pseudonyms(self, connection: Connection, kind: Kind, names: Collection[str]) -> dict[str, str]:
        """Each name's pseudonym, made at first use; none is erased before the caller's transaction ends."""
        lookups = {name: self._key.lookup(kind, name) for name in names}
        for _ in range(ATTEMPTS):
            await self._make(connection, kind, sorted(set(lookups.values())))
            rows = await connection.fetch(
                "select lookup, pseudonym from privacy.subjects where lookup = any($1) order by lookup for key share",
                list(lookups.values()),
            )
            found = {row["lookup"]: row["pseudonym"] for row in rows}
            if len(found) == len(set(lookups.values())):
                return {name: found[lookup] for name, lookup in lookups.items()}
        raise TimeoutError("subjects are erased as fast as they are made")

    async def _make(self, connection: Connection, kind: Kind, lookups: Sequence[bytes]) -> None:
        """In the order of lookups, so that two makers cannot deadlock."""
        made = [new_pseudonym(kind) for _ in lookups]
        keys = [self._key.wrap(new_key(), pseudonym) if kind == "p" else None for pseudonym in made]
        await connection.execute(
            """insert into privacy.subjects (lookup, pseudonym, wrapped_key)
               select * from unnest($1::bytea[], $2::text[], $3::bytea[]) on conflict (lookup) do nothing""",
            lookups, made, keys,
        )  # fmt: skip

    async def find(self, connection: Connection | Pool, kind: Kind, who: str, *, lock: bool = False) -> str | None:
        """The pseudonym of a name, or a pseudonym that is still held; None if nothing is."""
        column, value = ("pseudonym", who) if is_pseudonym(who) else ("lookup", self._key.lookup(kind, who))
        query = f"select pseudonym from privacy.subjects where {column} = $1 {'for update' if lock else ''}"
        found: str | None = await connection.fetchval(query, value)
        return found if found is None or found.startswith(f"{kind}-") else None

    async def accounts(self, connection: Connection | Pool, pseudonym: str) -> list[str]:
        """Accounts that may be this person's; their streams tell."""
        rows = await connection.fetch(
            "select account from privacy.accounts where pseudonym = $1 order by account", pseudonym
        )
        return [row["account"] for row in rows]

    async def forget(self, connection: Connection, pseudonym: str) -> None:
        """The erasure itself: nobody finds the pseudonym by the name again, nor opens what is sealed for it.

        Nor does a subject of an issuer lead to the person's accounts any more.
        """
        await connection.execute(
            """delete from privacy.logins l using privacy.accounts a
                where a.pseudonym = $1 and a.account = l.account""",
            pseudonym,
        )
        await connection.execute("delete from privacy.subjects where pseudonym = $1", pseudonym)

    async def unseal(self, pseudonym: str, *texts: Sealed | None) -> list[str]:
        """The texts, each `[erased]` once the key is gone; an absent one is empty."""
        wrapped = await self._pool.fetchval("select wrapped_key from privacy.subjects where pseudonym = $1", pseudonym)
        key = self._key.unwrap(wrapped, pseudonym) if wrapped else None
        return [unseal(text, pseudonym, key) if text else "" for text in texts]

    @property
    def _key(self) -> PrivacyKey:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded
