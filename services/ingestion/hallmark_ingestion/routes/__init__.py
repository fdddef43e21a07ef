"""HTTP of ingestion: versions and evidence, pipeline events, identities, dead letters."""

from typing import Any

from hallmark_ingestion.routes import (
    aliases,
    assets,
    dead_letters,
    downloads,
    events,
    identity,
    logins,
    privacy,
    uploads,
    versions,
)  # fmt: skip

ROUTES: list[Any] = [
    *versions.ROUTES, *uploads.ROUTES, *downloads.ROUTES, *assets.ROUTES, *aliases.ROUTES, *events.ROUTES,
    *identity.ROUTES, *logins.ROUTES, *dead_letters.ROUTES, *privacy.ROUTES,
]  # fmt: skip
