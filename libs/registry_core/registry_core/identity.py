"""Accounts, persons, roles and tokens. An account's own stream is the truth, so a revoked token dies at once."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from registry_core.access import (
    FOR_PERSONS,
    NOWHERE,
    UNNARROWED,
    Grant,
    Reach,
    Scope,
    held,
    prefix_of,
    scope_of,
)
from registry_core.events import Event, RecordedEvent
from registry_core.events.governance import (
    AccountClosed,
    AccountCreated,
    AccountIdentified,
    AccountReopened,
    RoleGranted,
    RolesChanged,
    RoleWithdrawn,
    SigningKeyRegistered,
    TokenIssued,
    TokenRevoked,
)
from registry_core.events.logins import (
    LoginLinked,
    LoginUnlinked,
    SessionClosed,
    SessionOpened,
    WorkloadBound,
    WorkloadUnbound,
)
from registry_core.handlers import Reader, load
from registry_core.personal import Sealed
from registry_core.settings import Settings

ROLE: Final = r"^(viewer|contributor|manager|admin|auditor|reviewer:[a-z]{1,32})$"
GRANTED: Final = r"^(viewer|contributor|manager|auditor|reviewer:[a-z]{1,32})$"
"""Administrators are so everywhere or not at all: whom they let in is for every asset."""

MOST_SESSIONS: Final = 20
"""Of one account at a time; with one more, the oldest is over."""


def account_stream(account: str) -> str:
    return f"account:{account}"


async def find_account(reader: Reader, account: str) -> "Account":
    """As its own stream has it; one that nobody created is empty."""
    return await load(reader, Account(), account_stream(account))


@dataclass(frozen=True, slots=True)
class Token:
    secret_sha256: str
    expires_at: datetime | None
    scope: Scope
    issued: TokenIssued
    """As it was said."""
    issued_at: datetime

    @classmethod
    def of(cls, issued: TokenIssued, at: datetime) -> "Token":
        return cls(issued.secret_sha256, issued.expires_at, scope_of(issued.actions, issued.assets), issued, at)

    def in_force(self, at: datetime) -> bool:
        return self.expires_at is None or at < self.expires_at


@dataclass(frozen=True, slots=True)
class SigningKey:
    public_key: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody of an issuer who signs in as the account."""

    issuer: str
    roles_follow: bool


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody is signed in, by a login."""

    secret_sha256: str
    expires_at: datetime
    login: str

    def in_force(self, at: datetime) -> bool:
        return at < self.expires_at


@dataclass(frozen=True, slots=True)
class Workload:
    """Pipelines of an issuer whose tokens carry these claims."""

    issuer: str
    claims: Mapping[str, str]

    def admits(self, issuer: str, claims: Mapping[str, Any]) -> bool:
        return issuer == self.issuer and all(_fits(claims.get(name), value) for name, value in self.claims.items())


def _fits(told: Any, wanted: str) -> bool:
    if not isinstance(told, str):
        return False
    return told.startswith(wanted[:-1]) if wanted.endswith("*") else told == wanted


@dataclass(frozen=True, slots=True)
class Account:
    """State of one `account:<id>` stream."""

    version: int = -1
    account: str = ""
    kind: str = ""
    person: str = ""
    """A pseudonym where the account was created over HTTP; persons are compared, never named, by it."""
    name: Sealed | None = None
    display_name: Sealed | None = None
    roles: frozenset[str] = frozenset()
    """Held everywhere."""
    grants: frozenset[Grant] = frozenset()
    closed: bool = False
    scope: Scope = UNNARROWED
    """Of the token that it was proven with; `narrowed` sets it."""
    tokens: dict[str, Token] = field(default_factory=dict)
    signing_keys: dict[str, SigningKey] = field(default_factory=dict)
    logins: dict[str, Login] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    workloads: dict[str, Workload] = field(default_factory=dict)

    def evolve(self, event: RecordedEvent) -> "Account":
        return replace(self._after(event.data, event.recorded_at), version=event.version)

    def _after(self, data: Event, at: datetime) -> "Account":
        match data:
            case AccountCreated() | AccountIdentified():
                about = {name: getattr(data, name) for name in ("account", "kind", "person", "name", "display_name")}
                return replace(self, **about)
            case RolesChanged() | RoleGranted() | RoleWithdrawn() | AccountClosed() | AccountReopened():
                return self._after_decision(data)
            case TokenIssued():
                return replace(self, tokens={**self.tokens, data.token_id: Token.of(data, at)})
            case TokenRevoked(token_id=revoked):
                return replace(self, tokens={i: t for i, t in self.tokens.items() if i != revoked})
            case SigningKeyRegistered():
                key = SigningKey(data.public_key, data.purpose)
                return replace(self, signing_keys={**self.signing_keys, data.key_id: key})
            case LoginLinked() | LoginUnlinked() | SessionOpened() | SessionClosed():
                return self._after_sign_in(data)
            case WorkloadBound():
                workload = Workload(data.issuer, data.claims)
                return replace(self, workloads={**self.workloads, data.workload: workload})
            case WorkloadUnbound(workload=unbound):
                return replace(self, workloads={i: w for i, w in self.workloads.items() if i != unbound})
            case _:
                return self

    def _after_decision(
        self, data: RolesChanged | RoleGranted | RoleWithdrawn | AccountClosed | AccountReopened
    ) -> "Account":
        match data:
            case RolesChanged(roles=roles):
                return replace(self, roles=frozenset(roles))
            case RoleGranted(role=role, assets=assets):
                return replace(self, grants=self.grants | {Grant(role, assets)})
            case RoleWithdrawn(role=role, assets=assets):
                return replace(self, grants=self.grants - {Grant(role, assets)})
            case AccountClosed():
                return replace(self, closed=True, tokens={}, sessions={})
            case AccountReopened():
                return replace(self, closed=False)

    def _after_sign_in(self, data: LoginLinked | LoginUnlinked | SessionOpened | SessionClosed) -> "Account":
        match data:
            case LoginLinked():
                return replace(self, logins={**self.logins, data.login: Login(data.issuer, data.roles_follow)})
            case LoginUnlinked(login=gone):
                logins = {i: login for i, login in self.logins.items() if i != gone}
                return replace(
                    self, logins=logins, sessions={i: s for i, s in self.sessions.items() if s.login != gone}
                )
            case SessionOpened() if data.login not in self.logins:
                return self
            case SessionOpened():
                session = Session(data.secret_sha256, data.expires_at, data.login)
                kept = dict(list(self.sessions.items())[1 - MOST_SESSIONS :])
                return replace(self, sessions={**kept, data.session: session})
            case SessionClosed(session=closed):
                return replace(self, sessions={i: s for i, s in self.sessions.items() if i != closed})

    def workload_of(self, issuer: str, claims: Mapping[str, Any]) -> str | None:
        """Which of this service account's workloads a token is of."""
        found = (i for i, workload in self.workloads.items() if workload.admits(issuer, claims))
        return next(found, None) if self.kind == "service" and not self.closed else None

    def holds(self, by: str, issuer: str, claims: Mapping[str, Any]) -> bool:
        """Whether a token of an issuer opens the account by this login or workload."""
        if by in self.logins:
            return self.logins[by].issuer == issuer and not self.closed
        return self.workload_of(issuer, claims) == by

    def reach(self, action: str) -> Reach:
        """The assets that this account, proven as it is, may do this to: deny by default."""
        narrowed = self.scope.actions is not None and action not in self.scope.actions
        if self.closed or narrowed or (self.kind == "service" and action in FOR_PERSONS):
            return NOWHERE
        return held(action, self.roles, self.grants).within(self.scope.reach)

    def may(self, action: str, asset: str | None = None) -> bool:
        """Whether it may do this to the asset, `kind:name`; without one: to everything, and to what is no asset."""
        reach = self.reach(action)
        return reach.everywhere if asset is None else reach.covers(asset)

    def roles_on(self, asset: str) -> frozenset[str]:
        """The roles that count for an asset: those held everywhere, and those granted on it."""
        if self.closed or not self.scope.reach.covers(asset):
            return frozenset()
        granted = {role for role, assets in self.grants if f"{asset}@".startswith(prefix_of(assets))}
        return self.roles | granted

    def narrowed(self, token: "BearerToken") -> "Account":
        """The account as this token of it speaks for it."""
        issued = self.tokens.get(token.token_id)
        return replace(self, scope=issued.scope) if issued else self

    def accepts(self, token: "BearerToken", now: datetime) -> bool:
        """Whether this account issued the token or opened the session, and it is neither ended nor expired."""
        issued: Token | Session | None = (self.sessions if token.session else self.tokens).get(token.token_id)
        if self.closed or issued is None or not hmac.compare_digest(issued.secret_sha256, token.secret_sha256):
            return False
        return issued.in_force(now)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """For how long tokens are good."""

    of_persons: timedelta
    """Where nobody says how long."""
    most: timedelta
    """Also what a service account's token gets where nobody says how long."""

    @classmethod
    def of(cls, settings: Settings) -> "Lifetimes":
        return cls(timedelta(days=settings.token_days), timedelta(days=settings.token_max_days))

    def until(self, kind: str, asked: datetime | None, now: datetime) -> datetime:
        """When a token of such an account ends. Raises ValueError for a time that has passed or is too far ahead."""
        if asked is None:
            return now + (self.most if kind == "service" else min(self.of_persons, self.most))
        if not now < asked <= now + self.most:
            raise ValueError(f"a token ends in the future, within {self.most.days} days; not at {asked.isoformat()}")
        return asked


@dataclass(frozen=True, slots=True)
class BearerToken:
    """`hmk_<account>_<token id>_<secret>`; the secret has 256 bits, so a plain SHA-256 of it is kept.

    A session's is `hms_…`.
    """

    account: str
    token_id: str
    secret_sha256: str
    session: bool = False

    @classmethod
    def parse(cls, text: str) -> "BearerToken | None":
        """None for anything that is not of the form."""
        parts = text.split("_")
        if len(parts) != 4 or parts[0] not in ("hmk", "hms") or not text.isascii() or len(text) > 256:
            return None
        return cls(parts[1], parts[2], hashlib.sha256(parts[3].encode()).hexdigest(), parts[0] == "hms")


def new_token(
    account: str,
    expires_at: datetime | None = None,
    label: str = "",
    *,
    actions: tuple[str, ...] | None = None,
    assets: tuple[str, ...] | None = None,
) -> tuple[str, TokenIssued]:
    """A fresh token, to be shown once, and the event that makes it valid; narrowed, if so, to actions and assets."""
    token_id, secret = secrets.token_hex(4), secrets.token_hex(32)
    text = f"hmk_{account}_{token_id}_{secret}"
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return text, TokenIssued(
        account=account, token_id=token_id, secret_sha256=digest, expires_at=expires_at, label=label,
        actions=actions, assets=assets,
    )  # fmt: skip


def new_session(account: str, login: str, expires_at: datetime) -> tuple[str, SessionOpened]:
    """A session's fresh token, for the one who signed in, and the event that makes it valid."""
    text, issued = new_token(account, expires_at)
    return text.replace("hmk_", "hms_", 1), SessionOpened(
        account=account, session=issued.token_id, login=login, secret_sha256=issued.secret_sha256, expires_at=expires_at
    )
