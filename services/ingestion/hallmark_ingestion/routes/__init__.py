"""HTTP of ingestion: versions and evidence, pipeline events, identities, dead letters."""

from typing import Any

from hallmark_ingestion.routes import dead_letters, events, identity, versions

ROUTES: list[Any] = [*versions.ROUTES, *events.ROUTES, *identity.ROUTES, *dead_letters.ROUTES]
