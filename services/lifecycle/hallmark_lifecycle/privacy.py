"""Erasing a customer: nobody finds the pseudonym in served windows by the customer's id again."""

from typing import Annotated, Any

from litestar import post
from pydantic import StringConstraints
from registry_core import inbox
from registry_core.events import NewEvent, RecordedEvent, derived_id
from registry_core.events.privacy import CustomerErased
from registry_core.http import Caller
from registry_core.messaging import dead_letters
from registry_core.personal import is_pseudonym
from registry_core.problems import Problem, invalid, not_found
from registry_core.store.appending import append_batch
from registry_core.store.model import Append
from registry_core.values import Text, Value

from hallmark_lifecycle.inference import CUSTOMER_LENGTH

Customer = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=CUSTOMER_LENGTH)]
INBOUND = "serving.inference"


class CustomerErasure(Value):
    customer: Customer
    """The id as the inference events carry it, or the pseudonym."""
    confirm: Customer
    """The customer once more."""
    reason: Text
    """Kept in the log for good: without the id."""


@post("/v1/privacy/customers/erase", action="privacy", status_code=200)
async def erase_customer(data: CustomerErasure, caller: Caller) -> dict[str, Any]:
    """Destroy the way from the customer's id to the pseudonym; counts stay. It cannot be undone."""
    if data.confirm != data.customer:
        raise invalid("the confirmation is not the customer", "name the customer twice", field="/confirm")
    if data.customer.casefold() in data.reason.casefold():
        raise invalid("the reason is kept for good", "leave the customer's id out of it", field="/reason")
    event = await _erase(caller, data.customer, data.reason)
    assert isinstance(event.data, CustomerErased)
    index = await caller.platform.store.wait_sealed(event.id)
    return {"customer": event.data.customer, "reason": event.data.reason, "log_index": index}


async def _erase(caller: Caller, who: str, reason: str) -> NewEvent | RecordedEvent:
    """One transaction, or nothing. Letters that were set aside and deliveries may hold the id, too."""
    platform = caller.platform
    async with platform.pool.acquire() as connection, connection.transaction():
        customer = await platform.vault.find(connection, "c", who, lock=True)
        if customer is None:
            return await _erased_before(caller, who)
        event = await _event(caller, CustomerErased(customer=customer, erased_by=caller.name, reason=reason))
        await append_batch(connection, [Append(f"customer:{customer}", [event])])
        if not is_pseudonym(who):
            await dead_letters.erase_mentions(connection, INBOUND, who)
            await inbox.erase_mentions(connection, who)
        await platform.vault.forget(connection, customer)
    platform.store.on_append()
    return event


async def _event(caller: Caller, data: CustomerErased) -> NewEvent:
    made = derived_id(caller.seed, "customer-erased")
    if await caller.platform.store.position(made):
        fix = "take a new key for a new request"
        raise Problem(422, "idempotency-key-reused", "this key erased another customer before", fix=fix)
    return NewEvent(id=made, data=data, origin=caller.origin)


async def _erased_before(caller: Caller, who: str) -> RecordedEvent:
    if event := await caller.platform.store.position(derived_id(caller.seed, "customer-erased")):
        return event
    events = (await caller.platform.reader.read(f"customer:{who}"))[0] if is_pseudonym(who) else []
    if events:
        return events[0]
    raise not_found(
        "no customer of this id", "an id is spelt as in the inference events; one that was erased is unknown, too"
    )
