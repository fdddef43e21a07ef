"""Erasures: that they happened, who asked, and why. Streams: `person:<pseudonym>` and `customer:<pseudonym>`."""

from uuid import UUID

from registry_core.events.base import Event
from registry_core.personal import Pseudonym
from registry_core.values import Account, Text


class PersonErased(Event, type="io.hallmark.privacy.person-erased.v1", family="privacy"):
    """The person's key and the way from their name to the pseudonym were destroyed, their accounts closed."""

    person: Pseudonym
    accounts: tuple[Account, ...]
    bodies: tuple[UUID, ...] = ()
    """Events from before sealing, whose bodies name the person in plain text and may be erased: no others ever may."""
    erased_by: Account
    reason: Text


class CustomerErased(Event, type="io.hallmark.privacy.customer-erased.v1", family="privacy"):
    """The way from the customer's id to the pseudonym in served windows was destroyed."""

    customer: Pseudonym
    erased_by: Account
    reason: Text
