"""What an event is: a closed pydantic model with a CloudEvents type, a topic family and a place in the log.

Type names are `io.hallmark.<subject>.<what happened>.v<n>` (CloudEvents 1.0 `type`). A breaking change is a new
`v<n+1>` class with an upcaster from the old one; stored events are never rewritten. Whoever reads sees the newest
version alone: `decode`, `RecordedEvent.data` and `RecordedEvent.model` all speak of that (docs/events.md).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Final, TypeVar
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict

NAMESPACE = UUID("6f1d3c0e-0d8b-5d7c-9a55-6d0a5a1f7b11")
"""Root of every derived id, so that the same cause gives the same consequence on any machine."""

_REGISTRY: dict[str, type["Event"]] = {}
_UPCASTERS: dict[str, tuple[type["Event"], Callable[[Any], "Event"]]] = {}
"""By old type: the next version, and the function that makes one of an old event."""
_NOT_STORED: Final = ""


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
        if type != _NOT_STORED:
            _REGISTRY[type] = cls

    def encode(self) -> bytes:
        """The body as stored, hashed and sent: compact JSON, absent optional fields left out."""
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)  # model_dump_json without making a str


class Erased(Event, type=_NOT_STORED, family=""):
    """What an event says whose body was erased: nothing. Folds go on over it, as over a type that they do not know."""


EventClass = type[Event]
Old = TypeVar("Old", bound=Event)
New = TypeVar("New", bound=Event)


def upcasts(old: type[Old], to: type[New]) -> Callable[[Callable[[Old], New]], Callable[[Old], New]]:
    """Register the pure function below as the way from `v<n>` to `v<n+1>` of one type. Raises TypeError."""
    (name, number), successor = _parted(old.type), _parted(to.type)
    if successor != (name, number + 1) or old.family != to.family:
        raise TypeError(f"{to.type} does not follow {old.type}: the same name and family, and the next number")
    if old.type in _UPCASTERS:
        raise TypeError(f"{old.type} has an upcaster already")

    def register(function: Callable[[Old], New]) -> Callable[[Old], New]:
        _UPCASTERS[old.type] = (to, function)
        return function

    return register


def _parted(event_type: str) -> tuple[str, int]:
    """`io.hallmark.version.registered.v1` as (`io.hallmark.version.registered`, 1); no number is 0."""
    name, _, number = event_type.rpartition(".v")
    return (name, int(number)) if name and number.isdecimal() and len(number) < 5 else (event_type, 0)


def newest(event_type: str) -> type[Event] | None:
    """The class that events of this type are read as; None for a type that this build does not know."""
    known = _REGISTRY.get(event_type)
    while known and known.type in _UPCASTERS:
        known = _UPCASTERS[known.type][0]
    return known


def versions_of(event: type[Event]) -> list[str]:
    """Every type whose events are read as this class, oldest first. Raises TypeError for a superseded class."""
    if newest(event.type) is not event:
        raise TypeError(f"{event.type} is superseded: nobody sees such events any more, name its newest version")
    name, number = _parted(event.type)
    return [known for known in (f"{name}.v{n}" for n in range(1, number + 1)) if known in _REGISTRY]


def earlier_version(event_type: str) -> type[Event] | None:
    """The latest version known here of a type that itself is newer than this build; None for any other type."""
    name, number = _parted(event_type)
    if event_type in _REGISTRY:
        return None
    return next(filter(None, (_REGISTRY.get(f"{name}.v{n}") for n in range(number - 1, 0, -1))), None)


def event_types() -> dict[str, type[Event]]:
    """Every declared event type by its CloudEvents `type`, in name order."""
    return dict(sorted(_REGISTRY.items()))


def topic_of(event_type: str) -> str:
    """The Kafka topic that carries an event type, e.g. `registry.versions`; unknown types go to `registry.unknown`.

    A version that is newer than this build stays with its type: its place in the log is for good, and whoever is
    upgraded looks for it there.
    """
    known = _REGISTRY.get(event_type) or earlier_version(event_type)
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
        """The body as the newest version of its type (decoded once), or `Erased`.

        Raises `UnknownEventTypeError`, `NewerEventTypeError` or pydantic's `ValidationError`.
        """
        if not self._decoded:
            self._decoded.append(Erased() if self.body is None else decode(self.type, self.body))
        return self._decoded[0]

    @property
    def model(self) -> EventClass | None:
        """The class that `data` is of, without decoding; None for a type that this build does not know."""
        return newest(self.type)


class UnknownEventTypeError(ValueError):
    """An event type that this build does not know."""

    def __init__(self, event_type: str) -> None:
        super().__init__(f"unknown event type {event_type!r}; `hallmark events list` names those known here")


class NewerEventTypeError(UnknownEventTypeError):
    """A version of a known type that only a later release can read: wait for the upgrade, skip nothing."""

    def __init__(self, event_type: str) -> None:
        ValueError.__init__(self, f"{event_type} was written by a later release than this one; upgrade this service")


def decode(event_type: str, body: bytes) -> Event:
    """Parse a stored body, and bring it to the newest version of its type.

    Fields that this build does not know are passed over: a later release may have added optional ones. What is made
    or received here is closed all the same.
    """
    known = _REGISTRY.get(event_type)
    if known is None:
        raise (NewerEventTypeError if earlier_version(event_type) else UnknownEventTypeError)(event_type)
    data = known.model_validate_json(body, extra="ignore")
    while data.type in _UPCASTERS:
        data = _UPCASTERS[data.type][1](data)
    return data


def derived_id(cause: UUID, *parts: object) -> UUID:
    """UUIDv5 (RFC 9562) of a cause and what was made of it: the same consequence always has the same id."""
    return uuid5(cause, "/".join(map(str, parts)))
