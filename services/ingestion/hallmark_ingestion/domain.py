"""Registering versions: pure decisions over a version's or an asset's folded state."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import Field, model_validator
from registry_core.events import Event, RecordedEvent
from registry_core.events.versions import (
    DependantAdded,
    DependencyChanged,
    MetadataAmended,
    VersionAdded,
    VersionRegistered,
)
from registry_core.persons import TOPIC_ACCOUNTS
from registry_core.problems import Problem, conflict, forbidden, invalid, not_found
from registry_core.values import Digest, File, Metadata, Ref, State, Value, content_digest, parse_ref
from registry_core.version import Version

MOST_FILES = 1000
"""Files of one version: no more do policies read, so that a version with more could never be promoted."""


MOST_EVIDENCE = 500
"""Documents of one version: each decision and each audit names them all."""


MOST_DEPENDENCIES = 1000
"""What one version was made of: as many as policies read."""


class RegisterVersion(Value):
    """What a pipeline says about a new version: its reference and its content; everything else may follow (A6)."""

    ref: Ref
    files: Annotated[tuple[File, ...], Field(max_length=MOST_FILES)] = ()
    digest: Digest | None = None
    """For a version of one file; with `files` it must be `content_digest(files)`."""
    format: Annotated[str | None, Field(max_length=64)] = None
    metadata: Metadata = Metadata()
    source: Annotated[str | None, Field(max_length=512)] = None

    @model_validator(mode="after")
    def _has_content(self) -> Self:
        if not self.files and self.digest is None:
            raise ValueError("give `files`, or `digest` for a version of one file")
        names = [file.name for file in self.files]
        if len(set(names)) != len(names):
            raise ValueError("two files have the same name")
        if self.digest and self.digest != content_digest(self.content):
            raise ValueError(f"digest is not that of the files, which is {content_digest(self.content)}")
        return self

    @cached_property
    def content(self) -> tuple[File, ...]:
        only = File.model_construct(name="artifact", digest=self.digest or "")  # validated as the command's own
        return self.files or (only,)


J = TypeVar("J", bound=Event)


@dataclass(frozen=True, slots=True)
class Joined(Generic[J]):
    """What joined an asset, and when it was registered."""

    data: J
    at: datetime


@dataclass(frozen=True, slots=True)
class Asset:
    """State of one `asset:<kind>:<name>` stream: its versions, and who depends on them."""

    version: int = -1
    versions: tuple[Joined[VersionAdded], ...] = ()
    dependants: tuple[Joined[DependantAdded], ...] = ()

    def evolve(self, event: RecordedEvent) -> "Asset":
        match event.data:
            case VersionAdded() as data:
                versions = (*self.versions, Joined(data, event.occurred_at))
                return replace(self, version=event.version, versions=versions)
            case DependantAdded() as data:
                dependants = (*self.dependants, Joined(data, event.occurred_at))
                return replace(self, version=event.version, dependants=dependants)
            case _:
                return replace(self, version=event.version)


def register(state: Version, command: RegisterVersion, account: str) -> list[Event]:
    """A new draft; nothing for the same content again. Raises Problem 409 for other content under the same name."""
    if state.exists:
        if state.digest == content_digest(command.content):
            return []
        raise conflict(
            f"{command.ref} is registered with {state.digest}, and a version's content never changes",
            "register the new content under a new version number",
            field="/digest",
        )
    if command.ref in command.metadata.dependencies:
        raise invalid("a version cannot depend on itself", field="/metadata/depends_on")
    if len(command.metadata.dependencies) > MOST_DEPENDENCIES:
        fix = f"name at most {MOST_DEPENDENCIES}; many datasets can be versions that one dataset depends on"
        raise invalid("it depends on more versions than policies read", fix, field="/metadata/depends_on")
    return [
        VersionRegistered(
            ref=command.ref,
            digest=content_digest(command.content),
            files=command.content,
            format=command.format,
            metadata=command.metadata,
            registered_by=account,
            source=command.source,
        )
    ]


def amend(state: Version, changes: Mapping[str, Any]) -> list[Event]:
    """The metadata with these fields replaced. What a version is made of is settled at registration."""
    required(state)
    if state.state in (State.RETIRED,):
        raise conflict(f"{state.ref} is retired", "register a new version")
    metadata = Metadata.model_validate({**state.metadata.model_dump(), **changes})
    if "depends_on" in changes and metadata.depends_on != state.metadata.depends_on:
        raise invalid("what a version depends on is part of what it is", "register a new version", field="/depends_on")
    if set(metadata.dependencies) != set(state.metadata.dependencies):
        fix = "name datasets that it was registered with; for others register a new version"
        raise invalid("what a version depends on is part of what it is", fix, field="/datasets")
    return [MetadataAmended(ref=state.ref, metadata=metadata)] if metadata != state.metadata else []


def required(state: Version) -> Version:
    """Raises Problem 404 for a version that nobody registered."""
    if not state.exists:
        raise not_found("this version", "register it first: `hallmark register`")
    return state


def responsible(state: Version) -> frozenset[str]:
    """The accounts that answer for a version: who registered it, its owner and backup owner.

    Nobody known registered what came over a topic: there the owners alone.
    """
    accounts = [state.metadata.owner, state.metadata.backup_owner]
    if not state.registered_by.startswith(TOPIC_ACCOUNTS):
        accounts.append(state.registered_by)
    return frozenset(filter(None, accounts))


def may_not_write(state: Version, account: str) -> Problem:
    """Problem 403: evidence, files and metadata come from whoever answers for the version, or from a manager."""
    who = ", ".join([*sorted(responsible(state)), "a manager"])
    return forbidden(f"{account} neither registered nor owns {state.ref}", f"ask one of these to do it: {who}")


def room_for_evidence(state: Version) -> None:
    """Raises Problem 409 for a version that has all the evidence it can have."""
    if len(state.evidence) >= MOST_EVIDENCE:
        raise conflict(
            f"{state.ref} has {MOST_EVIDENCE} documents of evidence, as many as a decision names",
            "register a new version, and attach to it only what decides",
        )


def declared_file(state: Version, name: str) -> File:
    """The file of that name. Raises Problem 404 with the names there are."""
    required(state)
    for file in state.files:
        if file.name == name:
            return file
    names = ", ".join(file.name for file in state.files[:20])
    raise Problem(404, "not-found", f"{state.ref} has no file {name!r}", fix=f"its files are: {names}")


def stored_file(state: Version, name: str) -> File:
    """The file of that name, for reading. Raises Problem 404 also where its content has not come yet."""
    file = declared_file(state, name)
    if file.name not in state.stored:
        raise Problem(
            404, "not-uploaded", f"{file.name} of {state.ref} was declared and not uploaded",
            fix=f"whoever registered it uploads it: hallmark upload {state.ref} {file.name}", digest=file.digest,
        )  # fmt: skip
    return file


def changed_dependencies(asset: Asset, joining: Event) -> list[DependencyChanged]:
    """Who has to hear, now that this version or dependant joins, that a newer version came after they did (A2)."""
    return [
        DependencyChanged(
            ref=dependant.data.dependant,
            dependency=dependant.data.depends_on,
            newer=version.data.ref,
            newer_digest=version.data.digest,
        )
        for version in asset.versions
        for dependant in asset.dependants
        if joining in (version.data, dependant.data)
        and version.at > dependant.at
        and precedence(version.data.ref) > precedence(dependant.data.depends_on)
    ]


def precedence(ref: str) -> tuple[Any, ...]:
    """Sorts references by Semantic Versioning 2.0.0, section 11: a pre-release comes before its release."""
    core, _, pre = parse_ref(ref).version.split("+", 1)[0].partition("-")
    identifiers = [(0, *_number(p)) if p.isdecimal() else (1, 0, p) for p in pre.split(".")] if pre else []
    return (*map(_number, core.split(".")), not pre, identifiers)


def _number(digits: str) -> tuple[int, str]:
    """Orders like the number, whatever its length."""
    significant = digits.lstrip("0")
    return len(significant), significant


def event_key(source: str, event_id: str) -> str:
    """CloudEvents 1.0: source and id together identify an event."""
    return hashlib.sha256(json.dumps([source, event_id]).encode()).hexdigest()
