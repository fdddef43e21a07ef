"""HTTP of ingestion: versions and evidence, pipeline events, identities, dead letters, sources."""

from typing import Any

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

ROUTES: list[Any] = [
    *versions.ROUTES, *uploads.ROUTES, *downloads.ROUTES, *assets.ROUTES, *aliases.ROUTES, *events.ROUTES,
    *identity.ROUTES, *logins.ROUTES, *tokens.ROUTES, *dead_letters.ROUTES, *privacy.ROUTES, *imports.ROUTES,
    *sources.ROUTES, *deliveries.ROUTES,
]  # fmt: skip
