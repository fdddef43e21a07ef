"""Accounts, persons, roles and tokens. An account's own stream is the truth, so a revoked token dies at once."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from registry_core.events import Event, RecordedEvent
from registry_core.events.governance import (
    AccountCreated,
    AccountIdentified,
    RolesChanged,
    SigningKeyRegistered,
    TokenIssued,
    TokenRevoked,
)
from registry_core.personal import Sealed

ACTIONS: Final[dict[str, frozenset[str]]] = {
    "read": frozenset({"viewer", "contributor", "reviewer", "manager", "admin", "auditor"}),
    "download": frozenset({"viewer", "contributor", "reviewer", "manager", "admin", "auditor"}),
    "register": frozenset({"contributor", "admin"}),
    "amend": frozenset({"contributor", "manager", "admin"}),
    "promote": frozenset({"contributor", "manager", "admin"}),
    "review": frozenset({"reviewer"}),
    "except:request": frozenset({"contributor", "manager"}),
    "except:grant": frozenset({"manager"}),
    "lifecycle": frozenset({"manager", "admin"}),
    "advise": frozenset({"manager", "admin"}),
    "audit": frozenset({"auditor", "admin", "manager"}),
    "dead-letters": frozenset({"admin"}),
    "projections": frozenset({"admin"}),
    "policy": frozenset({"manager"}),
    "identity": frozenset({"admin"}),
    "sources": frozenset({"admin"}),
    "privacy": frozenset({"admin"}),
    "admit": frozenset({"viewer", "contributor", "reviewer", "manager", "admin", "auditor"}),
}
"""Who may do what; an action or role not named here is refused. `reviewer` stands for every `reviewer:<role>`.

`download` is to have a file's content, by whatever way: whoever is not to have it may still be one who reads.
`amend` is to write to a version, and further for those alone who answer for it, or managers."""


def account_stream(account: str) -> str:
    return f"account:{account}"


@dataclass(frozen=True, slots=True)
class Token:
    secret_sha256: str
    expires_at: datetime | None

    def in_force(self, at: datetime) -> bool:
        return self.expires_at is None or at < self.expires_at


@dataclass(frozen=True, slots=True)
class SigningKey:
    public_key: str
    purpose: str


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
    tokens: dict[str, Token] = field(default_factory=dict)
    signing_keys: dict[str, SigningKey] = field(default_factory=dict)

    def evolve(self, event: RecordedEvent) -> "Account":
        return replace(self._after(event.data), version=event.version)

    def _after(self, data: Event) -> "Account":
        match data:
            case AccountCreated() | AccountIdentified():
                about = {name: getattr(data, name) for name in ("account", "kind", "person", "name", "display_name")}
                return replace(self, **about)
            case RolesChanged(roles=roles):
                return replace(self, roles=frozenset(roles))
            case TokenIssued():
                token = Token(data.secret_sha256, data.expires_at)
                return replace(self, tokens={**self.tokens, data.token_id: token})
            case TokenRevoked(token_id=revoked):
                return replace(self, tokens={i: t for i, t in self.tokens.items() if i != revoked})
            case SigningKeyRegistered():
                key = SigningKey(data.public_key, data.purpose)
                return replace(self, signing_keys={**self.signing_keys, data.key_id: key})
            case _:
                return self

    def may(self, action: str) -> bool:
        """Whether any of the account's roles allows the action."""
        return not ACTIONS.get(action, frozenset()).isdisjoint({role.split(":", 1)[0] for role in self.roles})

    def accepts(self, token: "BearerToken", now: datetime) -> bool:
        """Whether this account issued the token, and it is neither revoked nor expired."""
        issued = self.tokens.get(token.token_id)
        if issued is None or not hmac.compare_digest(issued.secret_sha256, token.secret_sha256):
            return False
        return issued.in_force(now)


@dataclass(frozen=True, slots=True)
class BearerToken:
    """`hmk_<account>_<token id>_<secret>`; the secret has 256 bits, so a plain SHA-256 of it is kept."""

    account: str
    token_id: str
    secret_sha256: str

    @classmethod
    def parse(cls, text: str) -> "BearerToken | None":
        """None for anything that is not of the form."""
        parts = text.split("_")
        if len(parts) != 4 or parts[0] != "hmk" or not text.isascii() or len(text) > 256:
            return None
        return cls(parts[1], parts[2], hashlib.sha256(parts[3].encode()).hexdigest())


def new_token(account: str, expires_at: datetime | None = None, label: str = "") -> tuple[str, TokenIssued]:
    """A fresh token, to be shown once, and the event that makes it valid."""
    token_id, secret = secrets.token_hex(4), secrets.token_hex(32)
    text = f"hmk_{account}_{token_id}_{secret}"
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return text, TokenIssued(
        account=account, token_id=token_id, secret_sha256=digest, expires_at=expires_at, label=label
    )
