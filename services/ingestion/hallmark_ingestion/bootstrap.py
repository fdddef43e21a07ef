"""Puts ingestion together."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import structlog
from obstore.exceptions import BaseError
from registry_core import inbox
from registry_core.collection import ABANDONED, forget_uploads
from registry_core.events.versions import DependantAdded, VersionAdded, VersionRegistered
from registry_core.inbox import HANDLE_DELIVERY
from registry_core.service import Background, Platform, Service
from registry_core.store.connections import TRANSIENT

from hallmark_ingestion.accounts import identify_accounts
from hallmark_ingestion.external.importing import Importer
from hallmark_ingestion.external.imports import DDL
from hallmark_ingestion.external.observing import IMPORT, OBSERVE, Observer
from hallmark_ingestion.external.polling import Poller
from hallmark_ingestion.handlers import flag_dependants, list_on_assets
from hallmark_ingestion.intake.commands import ACCEPTED
from hallmark_ingestion.intake.inbound import make_handler
from hallmark_ingestion.routes import ROUTES
from hallmark_ingestion.sources.handling import make_handling

log = structlog.get_logger()
SWEEP_SECONDS: Final = 3600


def build(platform: Platform) -> Service:
    """The ingestion service."""

    async def know_persons() -> None:
        await platform.vault.claim()
        await identify_accounts(platform)

    def forget_abandoned_uploads() -> Awaitable[object]:
        return forget_uploads(platform.objects, platform.clock() - ABANDONED)

    def forget_old_deliveries() -> Awaitable[object]:
        return inbox.prune(platform.pool, platform.clock() - timedelta(days=platform.settings.delivery_days))

    observer = Observer(platform)
    return Service(
        name="ingestion",
        routes=ROUTES,
        handlers={
            VersionRegistered: list_on_assets,
            VersionAdded: flag_dependants,
            DependantAdded: flag_dependants,
        },
        jobs={
            HANDLE_DELIVERY: make_handling(platform),
            OBSERVE: observer.job,
            IMPORT: Importer(platform, observer).job,
        },
        inbound={"mlops.events": make_handler(platform)},
        accepts=ACCEPTED,
        background=[
            know_persons,
            _hourly(forget_abandoned_uploads, (BaseError, OSError), "abandoned uploads stay for now"),
            _hourly(forget_old_deliveries, TRANSIENT, "old deliveries stay for now"),
            Poller(platform, observer).run,
        ],
        ddl=DDL,
    )


def _hourly(work: Callable[[], Awaitable[object]], passing: tuple[type[Exception], ...], told: str) -> Background:
    """Every replica does it; what another one removed is no longer there."""

    async def run() -> None:
        while True:
            try:
                await work()
            except passing as error:
                log.warning(told, reason=repr(error))
            await asyncio.sleep(SWEEP_SECONDS)

    return run
