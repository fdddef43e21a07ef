"""HTTP of ingestion: versions and evidence, pipeline events, identities, dead letters."""

from typing import Any

from hallmark_ingestion.routes import assets, dead_letters, downloads, events, identity, privacy, uploads, versions

ROUTES: list[Any] = [
    *versions.ROUTES, *uploads.ROUTES, *downloads.ROUTES, *assets.ROUTES, *events.ROUTES, *identity.ROUTES,
    *dead_letters.ROUTES, *privacy.ROUTES,
]  # fmt: skip
