"""Fetched content becomes a draft: registered with its digests, in the name of the account that stands behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError
from registry_core.access import asset_of
from registry_core.events import Event, NewEvent, Origin, derived_id
from registry_core.events.base import NAMESPACE
from registry_core.events.evidence import EvidenceAttached
from registry_core.events.versions import ArtifactStored
from registry_core.handlers import load
from registry_core.http.authorisation import require
from registry_core.identity import find_account
from registry_core.problems import Problem, conflict, invalid
from registry_core.service import Platform
from registry_core.store.model import Append, Conflict
from registry_core.values import EvidenceType, File, Metadata, content_digest, sha256_digest
from registry_core.version import Version

from hallmark_ingestion.domain import MOST_FILES, RegisterVersion, register
from hallmark_ingestion.intake.commands import faults, in_words

ATTEMPTS: Final = 20


@dataclass(frozen=True, slots=True)
class Document:
    """A piece of evidence that comes with the content."""

    evidence_type: EvidenceType
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Fetched:
    """Everything that is known of a version by the time its files are in the artifact store."""

    ref: str
    files: Sequence[File]
    metadata: Metadata
    account: str
    source: str
    documents: Sequence[Document] = ()
    claims: Mapping[str, Any] = field(default_factory=dict)
    """What its author says of it, as far as it was read."""


def file_named(name: str, digest: str, size: int | None = None) -> File:
    """Raises Problem 422 for a name that a version cannot hold: a path that leads outside, a space, a leading dot."""
    try:
        return File(name=name, digest=digest, size=size)
    except ValidationError:
        raise invalid(
            f"the file {name[:200]!r} has a name that a version cannot hold",
            "rename it in the source: letters, digits, and - _ . within folders, none of which begins with a dot",
        ) from None


def check_count(files: int) -> None:
    """Raises Problem 422."""
    if not 0 < files <= MOST_FILES:
        raise invalid(
            f"it has {files} files; a version has 1 to {MOST_FILES}", "leave out what is not the model, or pack it"
        )


def command_of(fetched: Fetched) -> RegisterVersion:
    """Raises Problem 422 with every fault: a name that is none of ours, a tag that is no field."""
    try:
        return RegisterVersion(
            ref=fetched.ref, files=tuple(fetched.files), metadata=fetched.metadata, source=fetched.source[:512]
        )
    except ValidationError as error:
        raise invalid(
            in_words(faults(error, "")), "name it otherwise in the source, or import it under a name given here"
        ) from None


async def register_fetched(platform: Platform, fetched: Fetched) -> str:
    """The version, its files and documents in one append; its digest. The same again adds nothing.

    Raises Problem 409 where the name stands for other content; ConnectionError where content has left the store.
    """
    command = command_of(fetched)
    account = await find_account(platform.reader, fetched.account)
    require(account, "register", asset_of(command.ref))
    for document in fetched.documents:
        await platform.objects.put(document.content)
    for _ in range(ATTEMPTS):
        state = await load(platform.reader, Version(), command.ref)
        events = _events(platform, state, command, fetched)
        if not events or await _appended(platform, fetched, state, events):
            await _still_there(platform, fetched)
            return content_digest(command.content)
    raise conflict(f"{command.ref} changed {ATTEMPTS} times while it was registered", "import it again")


def _events(platform: Platform, state: Version, command: RegisterVersion, fetched: Fetched) -> list[Event]:
    events: list[Event] = register(state, command, fetched.account)
    stored = [
        ArtifactStored(ref=command.ref, file=file, uri=platform.objects.uri(file.digest))
        for file in command.content
        if file.name not in state.stored
    ]
    attached = {item.digest for item in state.evidence}
    documents = [document for document in fetched.documents if sha256_digest(document.content) not in attached]
    return [*events, *stored, *(_evidence(command, document, fetched.account) for document in documents)]


def _evidence(command: RegisterVersion, document: Document, account: str) -> EvidenceAttached:
    return EvidenceAttached(
        ref=command.ref, evidence_type=document.evidence_type, digest=sha256_digest(document.content),
        media_type=document.media_type, size=len(document.content), subject_digest=content_digest(command.content),
        attached_by=account,
    )  # fmt: skip


async def _appended(platform: Platform, fetched: Fetched, state: Version, events: Sequence[Event]) -> bool:
    decided_on = derived_id(NAMESPACE, "imported", fetched.ref, state.version, fetched.source)
    origin = _origin(fetched.account, platform.clock(), decided_on)
    new = [
        NewEvent(id=derived_id(decided_on, n, sha256_digest(data.encode())), data=data, origin=origin)
        for n, data in enumerate(events)
    ]
    (result,) = await platform.store.append(Append(fetched.ref, new, state.version))
    return not isinstance(result, Conflict)


def _origin(account: str, now: datetime, correlation: Any) -> Origin:
    return Origin(actor=account, occurred_at=now, correlation_id=correlation)


async def _still_there(platform: Platform, fetched: Fetched) -> None:
    """A collection may have taken an object between its arrival and the event that refers to it (decision 0025)."""
    for document in fetched.documents:
        await platform.objects.ensure(sha256_digest(document.content), document.content)
    for file in fetched.files:
        if not await platform.objects.has(file.digest):
            raise ConnectionError(f"{file.name} of {fetched.ref} has left the artifact store; it is fetched again")


def refused(problem: Problem) -> tuple[str, str]:
    """Reason and mending, for an event or a row."""
    where = f" at {problem.field}" if problem.field else ""
    return f"{problem.detail}{where}", problem.fix or "mend it in the source, and import again"
