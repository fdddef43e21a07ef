"""The persons behind accounts, and when two of them are one."""

from collections.abc import Collection
from typing import Final

from registry_core.handlers import Reader, fold
from registry_core.identity import Account, account_stream
from registry_core.personal import person_key

TOPIC_ACCOUNTS: Final = "kafka:"
"""Accounts of inbound topics begin so: they tell who may write to the topic, and no person is known behind them."""


def same_person(one: str, other: str) -> bool:
    return person_key(one) == person_key(other)


async def persons(reader: Reader, accounts: Collection[str]) -> dict[str, str]:
    """The person behind each account, in one read. An account that nobody created is its own person."""
    names = sorted(set(accounts))
    streams = await reader.read(*[account_stream(name) for name in names]) if names else []
    return {name: fold(Account(), events).person or name for name, events in zip(names, streams, strict=True)}
