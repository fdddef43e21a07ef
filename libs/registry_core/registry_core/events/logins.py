"""Who signs in from outside: people by an OIDC issuer's word, pipelines by the claims of their own tokens.

All on the stream `account:<account>`.
"""

from datetime import datetime
from typing import Annotated

from pydantic import StringConstraints

from registry_core.events.base import Event
from registry_core.personal import Sealed
from registry_core.values import Account

Login = Annotated[str, StringConstraints(pattern=r"^l-[0-9a-f]{20}$")]
"""80 random bits: it says nothing about whom it stands for."""
Workload = Annotated[str, StringConstraints(pattern=r"^w-[0-9a-f]{20}$")]
Issuer = Annotated[str, StringConstraints(pattern=r"^https?://[!-~]{1,500}$")]
"""As in a token's `iss`, compared character by character."""
ClaimName = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$")]
ClaimValue = Annotated[str, StringConstraints(min_length=1, max_length=512)]


class LoginLinked(Event, type="io.hallmark.identity.login-linked.v1", family="identity"):
    """Whoever this issuer says is this subject signs in as this account.

    The subject is sealed under the person's key; the way from it to the login is kept beside the log.
    """

    account: Account
    login: Login
    issuer: Issuer
    subject: Sealed
    roles_follow: bool = False
    """The account's roles are those that the issuer's claim says at each sign-in."""


class LoginUnlinked(Event, type="io.hallmark.identity.login-unlinked.v1", family="identity"):
    """Nobody signs in by this login any more, and the sessions that began with it are over."""

    account: Account
    login: Login


class WorkloadBound(Event, type="io.hallmark.identity.workload-bound.v1", family="identity"):
    """A pipeline whose token from this issuer carries these claims acts as this service account, without a secret."""

    account: Account
    workload: Workload
    issuer: Issuer
    claims: dict[ClaimName, ClaimValue]
    """All have to be there. A value that ends with `*` stands for all that begin so."""


class WorkloadUnbound(Event, type="io.hallmark.identity.workload-unbound.v1", family="identity"):
    """Such pipelines come as this account no more."""

    account: Account
    workload: Workload


class SessionOpened(Event, type="io.hallmark.identity.session-opened.v1", family="identity"):
    """Somebody signed in. Only the SHA-256 of the session's 256-bit secret is kept."""

    account: Account
    session: str
    login: Login
    """What they signed in by: without it the session is over."""
    secret_sha256: str
    expires_at: datetime


class SessionClosed(Event, type="io.hallmark.identity.session-closed.v1", family="identity"):
    """Signed out."""

    account: Account
    session: str
