"""What an event is: a closed pydantic model with a CloudEvents type, a topic family and a place in the log.

Type names are `io.hallmark.<subject>.<what happened>.v<n>` (CloudEvents 1.0 `type`). A breaking change is a new
`v<n+1>` class with an upcaster from the old one; stored events are never rewritten.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict

NAMESPACE = UUID("6f1d3c0e-0d8b-5d7c-9a55-6d0a5a1f7b11")
"""Root of every derived id, so that the same cause gives the same consequence on any machine."""

_REGISTRY: dict[str, type["Event"]] = {}


class Event(BaseModel):
    """A fact in the past tense. Subclass with `type="io.hallmark.…v1"` and `family="<topic family>"`."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64")

    type: ClassVar[str]
    family: ClassVar[str]
    topic: ClassVar[str]
    """The Kafka topic of the family."""

    def __init_subclass__(cls, *, type: str, family: str) -> None:  # noqa: A002 - CloudEvents' word
        super().__init_subclass__()
        if type in _REGISTRY:
            raise TypeError(f"event type {type} is declared twice")
        cls.type, cls.family, cls.topic = type, family, f"registry.{family}"
        _REGISTRY[type] = cls

    def encode(self) -> bytes:
        """The body as stored, hashed and sent: compact JSON, absent optional fields left out."""
        return self.model_dump_json(exclude_none=True).encode()


def event_types() -> dict[str, type[Event]]:
    """Every declared event type by its CloudEvents `type`, in name order."""
    return dict(sorted(_REGISTRY.items()))


def topic_of(event_type: str) -> str:
    """The Kafka topic that carries an event type, e.g. `registry.versions`; unknown types go to `registry.unknown`."""
    known = _REGISTRY.get(event_type)
    return known.topic if known else "registry.unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who caused an event and what it follows from."""

    actor: str
    """Account id, e.g. `alice`, `ci`, `service:scanner`."""
    occurred_at: datetime
    correlation_id: UUID
    causation_id: UUID | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event on its way into the store."""

    id: UUID
    data: Event
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEvent:
    """An event as the store holds it. `log_index` is None until it is sealed."""

    id: UUID
    stream: str
    version: int
    type: str
    body: bytes | None
    """JSON as stored; None once erased."""
    body_sha256: bytes
    actor: str
    occurred_at: datetime
    recorded_at: datetime
    correlation_id: UUID
    causation_id: UUID | None = None
    traceparent: str | None = None
    log_index: int | None = None
    _decoded: list[Event] = field(default_factory=list, repr=False, compare=False)

    @property
    def data(self) -> Event:
        """The typed body (decoded once). Raises `UnknownEventTypeError` or pydantic's `ValidationError`."""
        if not self._decoded:
            self._decoded.append(decode(self.type, self.body or b"{}"))
        return self._decoded[0]


class UnknownEventTypeError(ValueError):
    """An event type that this build does not know."""

    def __init__(self, event_type: str) -> None:
        super().__init__(f"unknown event type {event_type!r}; `hallmark events list` names those known here")


def decode(event_type: str, body: bytes) -> Event:
    """Parse a stored or received body."""
    known = _REGISTRY.get(event_type)
    if known is None:
        raise UnknownEventTypeError(event_type)
    return known.model_validate_json(body)


def derived_id(cause: UUID, *parts: object) -> UUID:
    """UUIDv5 (RFC 9562) of a cause and what was made of it: the same consequence always has the same id."""
    return uuid5(cause, "/".join(map(str, parts)))
