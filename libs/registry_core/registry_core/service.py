"""What a service is, and what it stands on. Every service's `bootstrap.build(platform)` returns a `Service`."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel

from registry_core.clock import Clock, system_clock
from registry_core.handlers import Handlers
from registry_core.messaging.jobs import JobFunction
from registry_core.messaging.transport import InboundHandler
from registry_core.messaging.unit_of_work import PoolReader
from registry_core.notifier import Notifier
from registry_core.objects import ObjectStorage
from registry_core.personal import PrivacyKey
from registry_core.projections import Projection
from registry_core.proofs.keys import load_or_generate_key
from registry_core.settings import Settings
from registry_core.store.connections import Pool, open_pool
from registry_core.store.postgres import PostgresEventStore
from registry_core.store.source_secrets import SourceSecrets
from registry_core.store.vault import Vault

ALL: Final = ("ledger", "ingestion", "scanner", "evaluator", "approval", "lifecycle", "console")
"""Every service, in the order in which `hallmark up` starts them."""

Background = Callable[[], Coroutine[None, None, None]]


@dataclass(frozen=True)
class Platform:
    """Connections and clock that the services of one process share."""

    settings: Settings
    pool: Pool
    store: PostgresEventStore
    notifier: Notifier
    objects: ObjectStorage
    clock: Clock
    ledger_pool: Pool | None = None
    """Connections as the role that seals; where the ledger runs."""

    @property
    def ledger(self) -> Pool:
        """Raises LookupError where the settings do not name the ledger's role."""
        if self.ledger_pool is None:
            raise LookupError(
                "the ledger needs a connection of its own: set HALLMARK_POSTGRES_LEDGER_DSN, as hallmark_ledger"
            )
        return self.ledger_pool

    def terminate(self) -> None:
        """Drop all connections."""
        self.pool.terminate()
        if self.ledger_pool is not None:
            self.ledger_pool.terminate()

    @property
    def reader(self) -> PoolReader:
        return PoolReader(self.pool, self.clock)

    def signing_key(self, name: str) -> Ed25519PrivateKey:
        """The named key of this installation, made at first use (`<data_dir>/keys/<name>.pem`, mode 0600)."""
        return load_or_generate_key(self.settings.data_dir / "keys" / f"{name}.pem")

    @cached_property
    def vault(self) -> Vault:
        """Persons' keys and pseudonyms. The privacy key is looked for at first use."""
        return Vault(self.pool, self.privacy_key)

    @cached_property
    def source_secrets(self) -> SourceSecrets:
        """What sources prove themselves with, and are asked with. The privacy key is looked for at first use."""
        return SourceSecrets(self.privacy_key)

    def privacy_key(self) -> PrivacyKey:
        """The installation's, under which persons' keys and sources' secrets are wrapped. Raises PrivacyKeyError."""
        text = self.settings.privacy_key.get_secret_value()
        return PrivacyKey.parse(text) if text else PrivacyKey(self.signing_key("privacy").private_bytes_raw())


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service's parts. Which of them there are is all that distinguishes services for the runtime."""

    name: str
    routes: Sequence[Any] = ()
    """Litestar route handlers and controllers."""
    handlers: Handlers = field(default_factory=dict)
    jobs: Mapping[str, JobFunction] = field(default_factory=dict)
    inbound: Mapping[str, InboundHandler] = field(default_factory=dict)
    """Handlers of inbound topics."""
    accepts: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    """Models of the CloudEvents types that may come in; their schemas are published."""
    projections: Sequence[Projection] = ()
    background: Sequence[Background] = ()
    """Loops that run for as long as the service does."""
    ddl: str = ""
    """Tables of the service's own, in schema `work`; installed by the owner, idempotent."""
    on_append: Callable[[], None] | None = None
    """Called after every append of this process (the sealer's hint)."""


Build = Callable[[Platform], Service]


def find_services(names: Sequence[str]) -> list[Build]:
    """The `build` functions of installed services. Raises LookupError that says what to install."""
    installed = {entry.name: entry for entry in entry_points(group="hallmark.services")}
    if missing := [name for name in names if name not in installed]:
        known = ", ".join(sorted(installed)) or "none"
        raise LookupError(f"no service {', '.join(missing)} here (installed: {known}); install hallmark-{missing[0]}")
    return [installed[name].load() for name in names]


async def connect_pool(settings: Settings) -> Pool:
    """The services' connections, as the append-only role."""
    return await open_pool(settings.postgres_dsn.get_secret_value(), min_size=2, max_size=settings.pool_size)


async def connect_ledger(settings: Settings) -> Pool | None:
    """A few connections as the role that seals, made when they are wanted; None where no DSN is set."""
    dsn = settings.postgres_ledger_dsn.get_secret_value()
    return await open_pool(dsn, max_size=3) if dsn else None


async def open_platform(settings: Settings, clock: Clock = system_clock) -> Platform:
    """Connect to everything. Raises OSError or PostgresError when the database is not there."""
    pool = await connect_pool(settings)
    ledger = await connect_ledger(settings)
    notifier = Notifier(settings.postgres_dsn.get_secret_value())
    (settings.data_dir / "keys").mkdir(mode=0o700, parents=True, exist_ok=True)
    return Platform(settings, pool, PostgresEventStore(pool), notifier, ObjectStorage.open(settings), clock, ledger)
