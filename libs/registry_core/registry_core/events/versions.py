"""Facts about a version and the asset it belongs to. Stream: the version's reference, or `asset:<kind>:<name>`."""

from registry_core.events.base import Event
from registry_core.values import Account, Digest, File, Metadata, Ref


class VersionRegistered(Event, type="io.hallmark.version.registered.v1", family="versions"):
    """A draft came to be; its content never changes from here on."""

    ref: Ref
    digest: Digest
    """`content_digest(files)`."""
    files: tuple[File, ...]
    format: str | None = None
    metadata: Metadata
    registered_by: Account
    source: str | None = None
    """CloudEvents `source` of the input, when it did not come from the API."""


class MetadataAmended(Event, type="io.hallmark.version.metadata-amended.v1", family="versions"):
    """Responsibility, intent or targets were completed or corrected; the whole metadata as it now stands."""

    ref: Ref
    metadata: Metadata


class ArtifactStored(Event, type="io.hallmark.version.artifact-stored.v1", family="versions"):
    """One of the version's files is in the artifact store, its digest verified while it flowed in."""

    ref: Ref
    file: File
    uri: str


class VersionAdded(Event, type="io.hallmark.asset.version-added.v1", family="versions"):
    """On the asset's stream: a further version exists."""

    ref: Ref
    digest: Digest


class DependantAdded(Event, type="io.hallmark.asset.dependant-added.v1", family="versions"):
    """On the asset's stream: another version was made of, or runs with, one of this asset's versions."""

    dependant: Ref
    depends_on: Ref


class DependencyChanged(Event, type="io.hallmark.version.dependency-changed.v1", family="versions"):
    """Something this version depends on has a newer version: its evaluations speak of the old one."""

    ref: Ref
    dependency: Ref
    newer: Ref
    newer_digest: Digest
