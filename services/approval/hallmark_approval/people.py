"""From accounts to the persons behind them."""

from collections.abc import Collection

from registry_core.handlers import Reader, fold
from registry_core.identity import Account, account_stream
from registry_core.version import Version

from hallmark_approval.promotion import Promotion
from hallmark_approval.review import Parties


async def persons(reader: Reader, accounts: Collection[str]) -> dict[str, str]:
    """The person behind each account, in one read. An account that nobody created is its own person."""
    names = sorted(set(accounts))
    streams = await reader.read(*[account_stream(name) for name in names]) if names else []
    return {name: fold(Account(), events).person or name for name, events in zip(names, streams, strict=True)}


async def parties(reader: Reader, version: Version, promotion: Promotion) -> Parties:
    """Who had a hand in what is reviewed."""
    evidence = {item.attached_by for item in version.evidence}
    exceptions = {item.requested_by for item in version.exceptions.values()}
    known = await persons(reader, {version.registered_by, promotion.requested_by, *evidence, *exceptions})
    return Parties(
        registered_by=known[version.registered_by],
        requested_by=known[promotion.requested_by],
        evidence_by=[known[account] for account in evidence],
        exception_by=[known[account] for account in exceptions],
    )
