"""Ingestion and lifecycle with an administrator, and a client of nobody's that sends deliveries."""

from collections.abc import AsyncIterator

import pytest
from hallmark_ingestion import bootstrap as ingestion
from hallmark_ledger import bootstrap as ledger
from hallmark_lifecycle import bootstrap as lifecycle
from registry_core.settings import Settings
from support import http, running, token_of
from support_inbox import Inbox


@pytest.fixture
async def sources(settings: Settings) -> AsyncIterator[Inbox]:
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with running(alone, [ledger.build, ingestion.build, lifecycle.build]) as (platform, services):
        token = await token_of(platform, "root", "admin")
        async with http(platform, services, token) as admin, http(platform, services) as outside:
            yield Inbox(admin, outside, platform, services)


@pytest.fixture
async def idle(settings: Settings) -> AsyncIterator[Inbox]:
    """Without loops: what is taken in waits, as after a kill."""
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with running(alone, [ledger.build, lifecycle.build]) as (platform, services):
        everything = [*services, ingestion.build(platform)]
        token = await token_of(platform, "root", "admin")
        async with http(platform, everything, token) as admin, http(platform, everything) as outside:
            yield Inbox(admin, outside, platform, everything)
