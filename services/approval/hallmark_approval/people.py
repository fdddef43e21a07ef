"""From accounts to the persons behind them."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from registry_core.handlers import Reader, fold
from registry_core.identity import Account, account_stream
from registry_core.version import Version

from hallmark_approval.promotion import Promotion
from hallmark_approval.review import Parties

TOPIC_ACCOUNTS: Final = "kafka:"
"""Accounts of inbound topics, behind which no person is known."""


async def persons(reader: Reader, accounts: Collection[str]) -> dict[str, str]:
    """The person behind each account, in one read. An account that nobody created is its own person."""
    names = sorted(set(accounts))
    streams = await reader.read(*[account_stream(name) for name in names]) if names else []
    return {name: fold(Account(), events).person or name for name, events in zip(names, streams, strict=True)}


def as_known(promotion: Promotion, known: Mapping[str, str]) -> Promotion:
    """The promotion with every review under the person that its account belongs to now.

    Reviews may carry a plain name from before accounts had pseudonyms; by it nobody would recognise the person again.
    """
    reviews = tuple(replace(review, person=known.get(review.reviewer, review.person)) for review in promotion.reviews)
    return replace(promotion, reviews=reviews)


async def parties(reader: Reader, version: Version, promotion: Promotion) -> Parties:
    """Who had a hand in what is reviewed."""
    evidence = {item.attached_by for item in version.evidence}
    exceptions = {item.requested_by for item in version.exceptions.values()}
    registrants = {version.registered_by, *_stand_in(version)}
    known = await persons(reader, {*registrants, promotion.requested_by, *evidence, *exceptions, *version.uploaded_by})
    return Parties(
        registered_by=[known[account] for account in registrants],
        requested_by=known[promotion.requested_by],
        uploaded_by=[known[account] for account in version.uploaded_by],
        evidence_by=[known[account] for account in evidence],
        exception_by=[known[account] for account in exceptions],
    )


def _stand_in(version: Version) -> list[str]:
    """A topic tells who may write to it, not who did: the owner then stands for whoever registered."""
    owner = version.metadata.owner
    return [owner] if owner and version.registered_by.startswith(TOPIC_ACCOUNTS) else []
