"""The event store: append-only streams with optimistic concurrency, in PostgreSQL or in memory."""

from registry_core.store.model import ANY, NONE, Append, Appended, Conflict, DuplicateEventError, EventStore

__all__ = ["ANY", "NONE", "Append", "Appended", "Conflict", "DuplicateEventError", "EventStore"]
