"""From accounts to the persons behind them."""

from collections.abc import Collection

from registry_core.handlers import Reader, fold
from registry_core.persons import TOPIC_ACCOUNTS, persons
from registry_core.values import promotion_stream
from registry_core.version import Version

from hallmark_approval.process import PromotionStream
from hallmark_approval.review import Parties


async def parties(reader: Reader, version: Version, requested_by: Collection[str]) -> Parties:
    """Who had a hand in the version and in its promotions, which these accounts requested."""
    accounts = {
        "registered_by": {version.registered_by, *_stand_in(version)},
        "requested_by": set(requested_by),
        "uploaded_by": version.uploaded_by,
        "amended_by": version.amended_by,
        "evidence_by": {item.attached_by for item in version.evidence},
        "exception_by": {item.requested_by for item in version.exceptions.values()},
        "granted_by": {item.granted_by for item in version.exceptions.values() if item.granted_by},
    }
    known = await persons(reader, set().union(*accounts.values()))
    return Parties(**{part: {known[account] for account in by} for part, by in accounts.items()})


async def requesters(reader: Reader, version: Version) -> set[str]:
    """The accounts that requested the version's open promotions."""
    streams = [promotion_stream(promotion) for promotion in sorted(version.open_promotions)]
    found = await reader.read(*streams) if streams else []
    promotions = [fold(PromotionStream(), events).promotion for events in found]
    return {promotion.requested_by for promotion in promotions if promotion}


def _stand_in(version: Version) -> list[str]:
    """A topic tells who may write to it, not who did: the owner then stands for whoever registered."""
    owner = version.metadata.owner
    return [owner] if owner and version.registered_by.startswith(TOPIC_ACCOUNTS) else []
