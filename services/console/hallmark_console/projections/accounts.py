"""`accounts`: who there is, and who is there no more; one row per account, without names."""

from collections.abc import Iterable
from typing import Final

from registry_core.events.governance import AccountClosed, AccountCreated, AccountIdentified, AccountReopened
from registry_core.projections import Entry, Projection, Row, types_of

from hallmark_console.projections.rows import data_of

COLUMNS = """
    account text,
    kind text,
    closed boolean"""
_CONCERNED: Final = (AccountCreated, AccountIdentified, AccountClosed, AccountReopened)


def keys(event: Entry) -> Iterable[str]:
    data = data_of(event)
    return (data.account,) if isinstance(data, _CONCERNED) else ()


def evolve(row: Row | None, event: Entry) -> Row | None:
    """The account's row after one more event of its stream."""
    match data_of(event):
        case AccountCreated() | AccountIdentified() as data:
            return {"closed": False, **(row or {}), "account": data.account, "kind": data.kind}
        case AccountClosed():
            return row and {**row, "closed": True}
        case AccountReopened():
            return row and {**row, "closed": False}
        case _:
            return None


ACCOUNTS = Projection("accounts", 1, COLUMNS, keys, evolve, types=types_of(*_CONCERNED), indexes={"account": "account"})
