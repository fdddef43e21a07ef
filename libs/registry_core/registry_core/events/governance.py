"""Policies, identities, advisories and serving: what decisions rest on."""

from datetime import datetime
from typing import Literal

from registry_core.events.base import Event, upcasts
from registry_core.personal import Sealed
from registry_core.values import Account, AssetPattern, Digest, Ref, State, UseContext, Value


class PolicyActivated(Event, type="io.hallmark.policy.activated.v1", family="policies"):
    """Stream `policy:<name>`. The document is the YAML pack itself; `digest` is its SHA-256."""

    name: str
    version: str
    digest: Digest
    document: str
    activated_by: Account


class AccountCreatedV1(Event, type="io.hallmark.identity.account-created.v1", family="identity"):
    """With the person's name in plain text. Stream `account:<account>`."""

    account: Account
    kind: Literal["human", "service"]
    person: str
    display_name: str


class AccountCreated(Event, type="io.hallmark.identity.account-created.v2", family="identity"):
    """Stream `account:<account>`. Several accounts of one human carry the same `person`."""

    account: Account
    kind: Literal["human", "service"]
    person: str
    """A pseudonym; the account's own id where nobody said more; the plain name in events from before pseudonyms."""
    name: Sealed | None = None
    """The person's name as it was given."""
    display_name: Sealed | None = None


@upcasts(AccountCreatedV1, to=AccountCreated)
def _(old: AccountCreatedV1) -> AccountCreated:
    return AccountCreated(
        account=old.account, kind=old.kind, person=old.person, name=Sealed(scheme="plain", data=old.person),
        display_name=Sealed(scheme="plain", data=old.display_name),
    )  # fmt: skip


class AccountIdentified(Event, type="io.hallmark.identity.account-identified.v1", family="identity"):
    """Says anew, by pseudonym and sealed, whom an account belongs to that was created with a plain name."""

    account: Account
    kind: Literal["human", "service"]
    person: str
    name: Sealed
    display_name: Sealed


class RolesChanged(Event, type="io.hallmark.identity.roles-changed.v1", family="identity"):
    """The account's whole set of roles: viewer, contributor, reviewer:<role>, manager, admin, auditor."""

    account: Account
    roles: tuple[str, ...]


class RoleGranted(Event, type="io.hallmark.identity.role-granted.v1", family="identity"):
    """A role on some assets alone, beside the roles that are held everywhere."""

    account: Account
    role: str
    assets: AssetPattern


class RoleWithdrawn(Event, type="io.hallmark.identity.role-withdrawn.v1", family="identity"):
    """The end of a grant; named as it was granted."""

    account: Account
    role: str
    assets: AssetPattern


class AccountClosed(Event, type="io.hallmark.identity.account-closed.v1", family="identity"):
    """From here on nothing opens the account, and its tokens are gone for good."""

    account: Account
    reason: str


class AccountReopened(Event, type="io.hallmark.identity.account-reopened.v1", family="identity"):
    """Its roles and grants are what they were; it needs new tokens."""

    account: Account
    reason: str


class TokenIssuedV1(Event, type="io.hallmark.identity.token-issued.v1", family="identity"):
    """Of a token that does all that its account may. Only the SHA-256 of its 256-bit secret is kept."""

    account: Account
    token_id: str
    secret_sha256: str
    expires_at: datetime | None = None
    label: str = ""


class TokenIssued(Event, type="io.hallmark.identity.token-issued.v2", family="identity"):
    """Only the SHA-256 of the token's 256-bit secret is kept.

    A version of its own for `actions` and `assets`: a release that did not know them would take a token that is
    narrowed for one that is not.
    """

    account: Account
    token_id: str
    secret_sha256: str
    expires_at: datetime | None = None
    label: str = ""
    actions: tuple[str, ...] | None = None
    """None: all that the account may do. Else of these at most."""
    assets: tuple[AssetPattern, ...] | None = None
    """None: wherever the account may. Else there at most."""


@upcasts(TokenIssuedV1, to=TokenIssued)
def _(old: TokenIssuedV1) -> TokenIssued:
    return TokenIssued(**old.model_dump())


class TokenRevoked(Event, type="io.hallmark.identity.token-revoked.v1", family="identity"):
    account: Account
    token_id: str


class SigningKeyRegistered(Event, type="io.hallmark.identity.signing-key-registered.v1", family="identity"):
    """An Ed25519 public key with which this account signs; `key_id` is the hex SHA-256 of its 32 raw bytes."""

    account: Account
    key_id: str
    public_key: str
    """Base64 of the 32 raw bytes."""
    purpose: Literal["review", "provenance", "decision"]


class AffectedPackage(Value):
    ecosystem: str
    name: str


class CheckpointKeyRotated(Event, type="io.hallmark.log.key-rotated.v1", family="identity"):
    """Stream `log:keys`. From here on the log's checkpoints are signed by another key; the old one vouches for it."""

    origin: str
    """The log's name, which is the name of both keys."""
    previous: str
    """The old key's vkey (C2SP signed-note)."""
    vkey: str
    """The new key's."""
    size: int
    """Of the last checkpoint that the old key signed alone."""
    handover: str
    """A signed note by both keys that says so."""
    reason: str = ""


class AdvisoryPublished(Event, type="io.hallmark.advisory.published.v1", family="advisories"):
    """Stream `advisory:<id>`. The OSV document itself is kept by digest in the artifact store."""

    advisory: str
    modified: datetime
    digest: Digest
    packages: tuple[AffectedPackage, ...]
    withdrawn: bool = False
    summary: str = ""


class CustomerCount(Value):
    customer: str
    """A pseudonym, never the customer's own id: random; in older windows HMAC-SHA256 under one key for all."""
    requests: int
    first_at: datetime
    last_at: datetime


class ServedWindowRecorded(Event, type="io.hallmark.serving.window-recorded.v1", family="serving"):
    """Stream `serving:<deployment>`. What one deployment served in `[start, end)`."""

    deployment: str
    environment: str
    start: datetime
    end: datetime
    ref: Ref | None = None
    """None: unattributed."""
    state: State | None = None
    """The version's state at that moment."""
    context: UseContext | None = None
    approved: bool
    requests: int
    customers: tuple[CustomerCount, ...]
