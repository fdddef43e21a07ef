"""Puts ingestion together."""

from registry_core.events.versions import DependantAdded, VersionAdded, VersionRegistered
from registry_core.service import Platform, Service

from hallmark_ingestion.accounts import identify_accounts
from hallmark_ingestion.commands import ACCEPTED
from hallmark_ingestion.handlers import flag_dependants, list_on_assets
from hallmark_ingestion.inbound import make_handler
from hallmark_ingestion.routes import ROUTES


def build(platform: Platform) -> Service:
    """The ingestion service."""

    async def know_persons() -> None:
        await platform.vault.claim()
        await identify_accounts(platform)

    return Service(
        name="ingestion",
        routes=ROUTES,
        handlers={
            VersionRegistered: list_on_assets,
            VersionAdded: flag_dependants,
            DependantAdded: flag_dependants,
        },
        inbound={"mlops.events": make_handler(platform)},
        accepts=ACCEPTED,
        background=[know_persons],
    )
