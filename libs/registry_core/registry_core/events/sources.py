"""Systems that feed the registry, and what is seen in them.

Streams: `source:<name>`, and `external:<source>:<object>` for one thing there: a registered model, a repository.
"""

from typing import Annotated, Literal

from pydantic import JsonValue, StringConstraints

from registry_core.events.base import Event
from registry_core.values import Account, Digest, Line, Ref, Text, Value

SourceName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
SourceKind = Literal["mlflow", "huggingface", "wandb", "sagemaker", "github", "kserve"]
Aspect = Annotated[str, StringConstraints(min_length=1, max_length=512)]
"""What about an object differs, e.g. `alias champion`, `version 3`, `description`."""


class SourceConnected(Event, type="io.hallmark.source.connected.v1", family="sources"):
    """From here on, what this system sends under its secret is taken in; again with other values, those hold.

    The secret itself is kept beside the log.
    """

    source: SourceName
    kind: SourceKind
    account: Account
    """The service account in whose name it is taken in; its roles say what may come of it."""
    url: str = ""
    """Where the system is asked what is true; empty for one that only sends."""
    connected_by: Account


class SourceSecretChanged(Event, type="io.hallmark.source.secret-changed.v1", family="sources"):
    """A new secret; the one before is taken no more, or until a moment that the receiver's settings say."""

    source: SourceName
    changed_by: Account


class SourceDisconnected(Event, type="io.hallmark.source.disconnected.v1", family="sources"):
    """Nothing that this system sends is taken in any more."""

    source: SourceName
    reason: Text
    disconnected_by: Account


class ExternalObjectObserved(Event, type="io.hallmark.source.object-observed.v1", family="sources"):
    """An object as it was when it was first seen: what later differences are told from. A large one takes several."""

    source: SourceName
    object: str
    state: dict[Aspect, JsonValue]
    """By thing (`model`, `version 3`, `repository`) what is known of it, by part: `description`, `alias champion`."""


class Difference(Value):
    aspect: Aspect
    before: JsonValue = None
    """None: there was none."""
    after: JsonValue = None
    """None: there is none any more."""


class ExternalChangeAnnounced(Event, type="io.hallmark.source.change-announced.v1", family="sources"):
    """An object changed, and the source said so itself."""

    source: SourceName
    object: str
    delivery: str
    """Of the source's own id, or ours where it gives none."""
    differences: tuple[Difference, ...]


class ExternalDriftDetected(Event, type="io.hallmark.source.drift-detected.v1", family="sources"):
    """An object differs from what was known of it, and nobody said so: found by asking; who did it is unknown."""

    source: SourceName
    object: str
    difference: Difference
    ref: Ref | None = None
    """The version of ours that it concerns, where there is one."""


class ExternalVersionImported(Event, type="io.hallmark.source.version-imported.v1", family="sources"):
    """A version of the object was fetched and registered as one of ours, with its content verified."""

    source: SourceName
    object: str
    version: str
    """As the source calls it: a number, or a commit."""
    ref: Ref
    digest: Digest


class ExternalVersionRefused(Event, type="io.hallmark.source.version-refused.v1", family="sources"):
    """A version of the object cannot be registered as it is; nothing was guessed, and it stays where it is."""

    source: SourceName
    object: str
    version: str
    reason: Line
    fix: Line
