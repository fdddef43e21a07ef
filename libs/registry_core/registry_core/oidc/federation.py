"""Tokens of issuers to accounts: by the subject that was linked, or by the claims that a service account is bound to.

The account's stream decides, and is asked for its version with every request; only the way to it is remembered.
"""

import hashlib
from dataclasses import dataclass
from typing import Final, Self

from registry_core.handlers import fold
from registry_core.http.questions import Questions
from registry_core.identity import Account, account_stream
from registry_core.oidc.config import OidcConfig
from registry_core.oidc.verifier import Identity, Verifier
from registry_core.problems import Problem, forbidden
from registry_core.service import Platform
from registry_core.store.logins import Logins

REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Way:
    """By what an identity came to its account: the id of a login or of a workload."""

    by: str
    account: Account


class Federation:
    """One for a process."""

    def __init__(self, config: OidcConfig, verifier: Verifier, logins: Logins, questions: Questions) -> None:
        self.sign_in, self.verifier, self.logins, self._ask = config.sign_in, verifier, logins, questions
        self._ways: dict[bytes, Way] = {}

    @classmethod
    def of(cls, platform: Platform, questions: Questions) -> Self:
        """As the settings say. Raises OidcConfigError."""
        config = OidcConfig.of(platform.settings)
        return cls(config, Verifier(config, platform.clock), Logins(platform.pool), questions)

    async def account(self, text: str) -> Account:
        """The account that the token's holder comes as. Raises Problem 401, 403 or 503."""
        identity = await self.verifier.verify(text)
        way = await self._remembered(identity) or await self.way(identity)
        if way is None:
            raise unknown_login(identity)
        if len(self._ways) >= REMEMBERED:
            self._ways.clear()
        self._ways[identity.digest] = way
        return way.account

    def remembers(self, text: str) -> bool:
        """Whether the token opened something before."""
        return hashlib.sha256(text.encode()).digest() in self._ways

    async def _remembered(self, identity: Identity) -> Way | None:
        way = self._ways.get(identity.digest)
        if way is None:
            return None
        name = way.account.account
        if way.account.version != await self._ask.version(account_stream(name)):
            way = Way(way.by, await self.state(name))
        return way if way.account.holds(way.by, identity.issuer, identity.claims) else None

    async def way(self, identity: Identity) -> Way | None:
        """By the login first: somebody who is known is not anybody's pipeline."""
        return await self.login(identity) or await self._workload(identity)

    async def login(self, identity: Identity) -> Way | None:
        """The account that this very subject was linked to."""
        held = await self.logins.find(identity.issuer, identity.subject)
        if held is None:
            return None
        account = await self.state(held.account)
        return Way(held.login, account) if account.holds(held.login, identity.issuer, identity.claims) else None

    async def state(self, account: str) -> Account:
        """An account as it is now."""
        return fold(Account(), await self._ask.streams(account_stream(account)))

    async def _workload(self, identity: Identity) -> Way | None:
        found = []
        for name in await self.logins.bound(identity.issuer):
            account = await self.state(name)
            if by := account.workload_of(identity.issuer, identity.claims):
                found.append(Way(by, account))
        if len(found) > 1:
            names = ", ".join(way.account.account for way in found)
            raise forbidden(
                f"the token's claims fit several accounts: {names}", "bind them to claims of which one alone can hold"
            )
        return found[0] if found else None


def unknown_login(identity: Identity) -> Problem:
    """For somebody whom no account stands for."""
    return Problem(
        403, "unknown-login",
        f"{identity.issuer} vouches for {identity.subject[:200]!r}, whom no account here stands for",
        fix="ask an administrator to link the subject (`hallmark account link`) or to bind the pipeline "
        "(`hallmark account bind`)", issuer=identity.issuer, subject=identity.subject,
    )  # fmt: skip
