"""What every kind of receiver shares: proof, freshness, and what a delivery can mean. Pure.

A receiver proves a delivery from its headers and raw bytes, before anything in it is parsed, and only then says what it
means. Header names are lower case.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from registry_core.moments import CLOCK_TOLERANCE, parse_time
from registry_core.values import storable

Headers = Mapping[str, str]
Secrets = Sequence[str]
LONGEST_KEY: Final = 200


class UnprovenError(ValueError):
    """Nothing shows that the source sent this; for the administrator, not for the sender."""


class StaleError(ValueError):
    """The source sent this, and too long ago: somebody may send again what was seen on its way."""


class UnreadableError(ValueError):
    """The source sent this, and it does not say what such a delivery says; the message tells what to change."""


@dataclass(frozen=True, slots=True)
class Proven:
    """What a proof tells: by what the delivery is known again, and when it was sent, where the source says that."""

    key: str
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Hint:
    """Something about an object changed: the source is asked what."""

    thing: str
    announces: Sequence[str]
    """The aspects that the delivery speaks of: what else is found different, it did not tell."""


@dataclass(frozen=True, slots=True)
class Release:
    """A version to register: the data of `io.hallmark.register-version.v1`."""

    data: Mapping[str, Any]
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Change:
    """What the source says that an object has become, by aspect."""

    thing: str
    after: Mapping[str, Any]
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Inference:
    """A request or response of a model server: lifecycle counts it."""

    deployment: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """Understood, and there is nothing to do."""

    why: str


Meaning = Hint | Release | Change | Inference | Nothing


@dataclass(frozen=True, slots=True)
class Sample:
    """A delivery as the source would send it."""

    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Setup:
    """What to do at the other side: steps, and texts to paste by what they are."""

    steps: Sequence[str]
    paste: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """One kind of source."""

    title: str
    verify: Callable[[Headers, bytes, Secrets, datetime], Proven]
    """Raises UnprovenError. It looks at bytes and takes the same time whatever is wrong with a signature."""
    interpret: Callable[[Headers, bytes], Meaning]
    """Raises UnreadableError, and nothing else whatever comes."""
    sample: Callable[[str, datetime], Sample]
    """Of a secret and a time."""
    setup: Callable[[str, str], Setup]
    """Of the address of deliveries and the secret."""
    kept: Sequence[str] = ()
    """Headers that are read, and so kept; none of them is a secret."""
    window: timedelta | None = None
    """How old a delivery may be when it comes: longer than the source goes on trying. None: it does not say."""


def matches(given: str, expected: Callable[[bytes], Sequence[bytes]], secrets: Secrets) -> bool:
    """Whether what was given is what one of the secrets makes; in constant time, and every secret is tried."""
    found = False
    for secret in secrets:
        for value in expected(secret.encode()):
            found |= hmac.compare_digest(_fixed(given.encode("utf-8", "surrogatepass")), _fixed(value))
    return found


def _fixed(value: bytes) -> bytes:
    """Of one length, so that a comparison does not tell the secret's."""
    return hashlib.sha256(value).digest()


def required(headers: Headers, name: str) -> str:
    """Raises UnprovenError."""
    value = headers.get(name, "").strip()
    if not value:
        raise UnprovenError(f"no header {name}: no secret is set at the source, or something on the way removes it")
    return value


def wrong(name: str) -> UnprovenError:
    return UnprovenError(
        f"{name} does not fit: the source has another secret, or something on the way changed what it sent"
    )


def plain_key(text: str) -> str:
    """A key that can be stored and shown: the text itself, or its digest."""
    fit = text.isascii() and text.isprintable() and 0 < len(text) <= LONGEST_KEY
    return text if fit else digest(text.encode("utf-8", "surrogatepass"))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def check_fresh(proven: Proven, window: timedelta | None, now: datetime) -> None:
    """Raises StaleError; a sender's clock may be ahead as far as clocks may differ."""
    if window is None or proven.sent_at is None:
        return
    if proven.sent_at < now - window:
        raise StaleError(f"sent at {proven.sent_at.isoformat()}, more than {window} ago; have the source send it anew")
    if proven.sent_at > now + CLOCK_TOLERANCE:
        raise StaleError(f"sent at {proven.sent_at.isoformat()}, which is ahead of {now.isoformat()}: set both clocks")


def document(headers: Headers, body: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises UnreadableError."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise UnreadableError(f"content type {media_type[:80]!r}: choose application/json at the source")
    found = json_of(body)
    if not isinstance(found, dict):
        raise UnreadableError("the body is not a JSON object in UTF-8")
    if not storable(found):
        raise UnreadableError("a text in the body holds a NUL or half a surrogate pair")
    return found


def json_of(body: bytes) -> Any:
    """None for whatever is not JSON in UTF-8."""
    try:
        return json.loads(body.decode())
    except (ValueError, RecursionError):
        return None


class Part(BaseModel):
    """What is read of a delivery; sources add members as they like."""

    model_config = ConfigDict(extra="ignore", frozen=True)


P = TypeVar("P", bound=Part)


def read(model: type[P], found: Any) -> P:
    """Raises UnreadableError that names every flaw."""
    try:
        return model.model_validate(found)
    except ValidationError as error:
        flaws = error.errors(include_url=False, include_context=False, include_input=False)
        listed = "; ".join(f"/{'/'.join(map(str, e['loc']))}: {e['msg']}" for e in flaws[:20])
        raise UnreadableError(f"not as this kind of source sends it: {listed}"[:2000]) from None


def unix_time(text: str) -> datetime | None:
    """Of seconds since 1970, as decimal digits; None for anything else."""
    return datetime.fromtimestamp(int(text), UTC) if text.isascii() and text.isdigit() and len(text) < 12 else None


def time_of(text: object) -> datetime | None:
    """Of RFC 3339; None for anything else."""
    try:
        return parse_time(text) if isinstance(text, str) else None
    except ValueError:
        return None
