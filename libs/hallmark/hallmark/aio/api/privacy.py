"""What is held about persons and customers, and its erasure."""

from hallmark.aio.session import AsyncSession
from hallmark.wire import Document, write


class Privacy(AsyncSession):
    async def show_person(self, person: str) -> Document:
        """Everything kept under a person's name: their accounts with every event, texts opened."""
        return await self.ask(write("POST", "/v1/privacy/persons/show", {"person": person}))

    async def erase_person(self, person: str, reason: str) -> Document:
        """Destroy a person's key and name, and close their accounts. It cannot be undone.

        `person`: the name as given with the account, or the pseudonym. `reason` is kept for good: without the name.
        """
        body = {"person": person, "confirm": person, "reason": reason}
        return await self.ask(write("POST", "/v1/privacy/persons/erase", body))

    async def erase_customer(self, customer: str, reason: str) -> Document:
        """Destroy the way from a customer's id to the pseudonym in served windows. It cannot be undone."""
        body = {"customer": customer, "confirm": customer, "reason": reason}
        return await self.ask(write("POST", "/v1/privacy/customers/erase", body))
