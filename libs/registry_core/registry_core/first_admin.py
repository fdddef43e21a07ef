"""The first administrator of a new installation."""

from datetime import datetime
from typing import Final
from uuid import uuid4

from registry_core.events import Event, NewEvent, Origin
from registry_core.events.governance import AccountCreated, RolesChanged
from registry_core.identity import account_stream, new_token
from registry_core.store import NONE, Append, Appended, EventStore

ADMIN: Final = "admin"


async def create_first_admin(store: EventStore, now: datetime) -> str | None:
    """The account `admin` and a token for it, to be shown once; None when the account exists already."""
    token, issued = new_token(ADMIN, label="first start")
    created = AccountCreated(account=ADMIN, kind="human", person=ADMIN, display_name="Administrator")
    data: list[Event] = [created, RolesChanged(account=ADMIN, roles=("admin",)), issued]
    origin = Origin(actor="service:first-start", occurred_at=now, correlation_id=uuid4())
    events = [NewEvent(id=uuid4(), data=item, origin=origin) for item in data]
    (result,) = await store.append(Append(account_stream(ADMIN), events, NONE))
    return token if isinstance(result, Appended) else None
