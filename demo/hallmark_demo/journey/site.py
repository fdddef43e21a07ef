"""Where the journey takes place, and the people in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hallmark.client import Client
from hallmark.errors import HallmarkError
from registry_core.proofs.keys import load_or_generate_key, public_base64


@dataclass(frozen=True, slots=True)
class Site:
    """A running Hallmark: its address, an administrator's token, and its Kafka."""

    url: str
    token: str
    kafka_bootstrap: str


@dataclass(frozen=True, slots=True)
class Person:
    account: str
    person: str
    roles: tuple[str, ...]
    kind: str = "human"


CAST: Final = (
    Person("ci", "dana", ("contributor",), "service"),
    Person("dana", "dana", ("contributor", "reviewer:product")),
    Person("pat", "pat", ("reviewer:platform",)),
    Person("paula", "paula", ("reviewer:product",)),
    Person("sam", "sam", ("reviewer:security",)),
    Person("mia", "mia", ("manager",)),
    Person("amy", "amy", ("auditor",)),
)
"""`ci` acts for dana: whatever account she uses, four eyes sees one person."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Everybody's client and key, and a folder to work in."""

    site: Site
    folder: Path
    clients: Mapping[str, Client]
    keys: Mapping[str, Ed25519PrivateKey] = field(default_factory=dict)

    @property
    def admin(self) -> Client:
        return self.clients["admin"]

    @property
    def ci(self) -> Client:
        return self.clients["ci"]


def set_stage(site: Site, folder: Path) -> Stage:
    """Create accounts, tokens and signing keys; on a stage that exists already, new tokens."""
    admin = Client(site.url, site.token)
    keys = {person.account: load_or_generate_key(_folder(folder) / f"{person.account}.pem") for person in CAST}
    clients = {"admin": admin}
    for person in CAST:
        _ensure_account(admin, person)
        client = clients[person.account] = Client(site.url, _token(admin, person.account))
        public = public_base64(keys[person.account].public_key())
        if person.kind == "service":  # whose provenance counts is for an administrator to say
            admin.register_signing_key(person.account, public, "provenance")
        else:
            client.register_signing_key(person.account, public, "review")
    return Stage(site, folder, clients, keys)


def _folder(folder: Path) -> Path:
    keys = folder / "keys"
    keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    return keys


def _ensure_account(admin: Client, person: Person) -> None:
    try:
        admin.create_account(
            person.account, kind=person.kind, person=person.person, display_name=person.account.title(),
            roles=person.roles,
        )  # fmt: skip
    except HallmarkError as error:
        if error.status != 409:
            raise


def _token(admin: Client, account: str) -> str:
    """A token; asked again where the answer to the first was lost (the server shows a token once)."""
    while True:
        try:
            return str(admin.issue_token(account, label="journey")["token"])
        except HallmarkError as error:
            if error.status != 409:
                raise
