"""HTTP of ingestion: versions and evidence, pipeline events, identities, dead letters, sources."""

from typing import Any

from registry_core.store.source_secrets import SourceSecrets

from hallmark_ingestion.routes import (
    aliases,
    assets,
    dead_letters,
    deliveries,
    downloads,
    events,
    identity,
    imports,
    logins,
    privacy,
    sources,
    tokens,
    uploads,
    versions,
)  # fmt: skip

_ROUTES: list[Any] = [
    *versions.ROUTES, *uploads.ROUTES, *downloads.ROUTES, *assets.ROUTES, *aliases.ROUTES, *events.ROUTES,
    *identity.ROUTES, *logins.ROUTES, *tokens.ROUTES, *dead_letters.ROUTES, *privacy.ROUTES, *imports.ROUTES,
]  # fmt: skip


def make_routes(secrets: SourceSecrets) -> list[Any]:
    """Every route of the service."""
    return [*_ROUTES, *sources.make_routes(secrets), *deliveries.make_routes(secrets)]
