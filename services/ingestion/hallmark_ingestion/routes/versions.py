"""Drafts and their evidence."""

from datetime import datetime
from typing import Annotated, Any

from litestar import Request, get, patch, post
from litestar.params import QueryParameter
from registry_core.access import asset_of
from registry_core.aliases import resolve
from registry_core.events import Event
from registry_core.events.evidence import EvidenceAttached
from registry_core.handlers import fold, load
from registry_core.http import Caller
from registry_core.http.authorisation import IN_BODY, IN_PATH
from registry_core.http.moments import events_at, stated
from registry_core.http.openapi import with_body
from registry_core.moments import Moment
from registry_core.objects import EVIDENCE_LIMIT
from registry_core.persons import persons, same_person
from registry_core.problems import Problem, invalid
from registry_core.service import Platform
from registry_core.values import EvidenceType, Metadata, content_digest, parse_ref
from registry_core.version import Version

from hallmark_ingestion.domain import (
    RegisterVersion,
    amend,
    may_not_write,
    register,
    required,
    responsible,
    room_for_evidence,
)

AnyRequest = Request[Any, Any, Any]


def checked(ref: str) -> str:
    """Raises Problem for what is no version reference."""
    try:
        parse_ref(ref)
    except ValueError as error:
        raise invalid(str(error), "write kind:name@semver", field="ref") from error
    return ref


@post("/v1/versions", action="register", asset=IN_BODY)
async def register_version(data: RegisterVersion, caller: Caller) -> dict[str, Any]:
    """Register a draft. The same content again answers the same; other content under the name is a conflict."""
    found = Version()

    def decide(state: Version) -> list[Event]:
        nonlocal found
        found = state
        return register(state, data, caller.name)

    written = await caller.decide(data.ref, Version(), decide)
    version = max(found.version, 0)  # a new draft's first event has version 0
    return written.document(ref=data.ref, digest=content_digest(data.content), stream_version=version)


@get("/v1/versions/{ref:str}", action="read", asset=IN_PATH)
async def read_version(ref: str, platform: Platform, moment: Moment) -> dict[str, Any]:
    """The version's state now or then, folded from its own events; `stream_version` is what If-Match takes.

    `model:risk@champion` is the version that the alias points to, now or then.
    """
    found = await resolve(platform, ref, moment)
    events = await events_at(platform, found, moment, found, "register it first: `hallmark register`")
    state = fold(Version(), events)
    return {**describe(state, moment.reading(platform.clock())), **stated(moment)}


def describe(state: Version, at: datetime) -> dict[str, Any]:
    """The folded state as a document; `at` says which approvals are in force."""
    return {
        "ref": state.ref,
        "state": state.state,
        "stream_version": state.version,
        "digest": state.digest,
        "format": state.format,
        "files": [file.model_dump() | {"uri": state.stored.get(file.name)} for file in state.files],
        "metadata": state.metadata.model_dump(mode="json"),
        "registered_by": state.registered_by,
        "replacement": state.replacement,
        "evidence": [item.model_dump(mode="json") for item in state.evidence],
        "scans": [item.model_dump(mode="json") for item in state.scans.values()],
        "dependencies": state.dependencies.model_dump(mode="json") if state.dependencies else None,
        "provenance": state.provenance.model_dump(mode="json") if state.provenance else None,
        "evaluations": [item.model_dump(mode="json") for item in state.evaluations.values()],
        "vulnerabilities": [item.model_dump(mode="json") for item in state.vulnerabilities.values()],
        "changed_dependencies": [item.model_dump(mode="json") for _, item in state.changed_dependencies],
        "pending_checks": state.pending_checks(),
        "open_promotions": sorted(state.open_promotions),
        "approvals": [
            {
                "promotion": item.promotion,
                "context": item.context.model_dump(),
                "environment": item.environment,
                "expires_at": item.expires_at,
                "ended": item.ended,
                "in_force": item.in_force(at),
            }
            for item in state.approvals
        ],
        "clocks": [item.model_dump(mode="json") for item in state.clocks.values()],
        "deployments": [item.model_dump(mode="json") for item in state.deployments],
    }


async def writable(caller: Caller, ref: str) -> Version:
    """The version, for a caller who may write to it. Raises Problem 404, or 403 that tells who may."""
    version = required(await load(caller.platform.reader, Version(), checked(ref)))
    manages = "manager" in caller.account.roles_on(str(asset_of(ref)))
    if not manages and not await answers_for(caller, version):
        raise may_not_write(version, caller.name)
    return version


async def answers_for(caller: Caller, version: Version) -> bool:
    """Whether the caller, by this account or as the person behind it, is one of those responsible."""
    accounts = responsible(version)
    if caller.name in accounts:
        return True
    known = await persons(caller.platform.reader, accounts)
    return any(same_person(caller.account.person, person) for person in known.values())


@patch("/v1/versions/{ref:str}/metadata", action="amend", asset=IN_PATH)
async def amend_metadata(ref: str, data: Metadata, caller: Caller) -> dict[str, Any]:
    """Complete or correct the fields that are sent; the others stay."""
    await writable(caller, ref)
    changes = data.model_dump(include=data.model_fields_set)
    written = await caller.decide(ref, Version(), lambda state: amend(state, changes))
    return written.document(ref=ref)


@post(
    "/v1/versions/{ref:str}/evidence",
    action="amend",
    asset=IN_PATH,
    request_max_body_size=EVIDENCE_LIMIT,
    operation_class=with_body("application/octet-stream"),
)
async def attach_evidence(
    ref: str,
    request: AnyRequest,
    caller: Caller,
    evidence_type: Annotated[EvidenceType, QueryParameter(name="type")],
) -> dict[str, Any]:
    """Attach a document of up to 16 MiB; it is kept by digest, and checks start by themselves."""
    body = await request.body()
    if not body:
        raise Problem(400, "invalid", "the body is empty", fix="send the document as the request's body")
    await writable(caller, ref)
    digest = await caller.platform.objects.put(body)
    media_type = request.headers.get("content-type", "application/octet-stream").partition(";")[0]

    def decide(state: Version) -> list[EvidenceAttached]:
        newest = state.of_type(evidence_type)[-1:]
        if [item.digest for item in newest] == [digest]:
            return []
        room_for_evidence(state)
        return [
            EvidenceAttached(
                ref=ref, evidence_type=evidence_type, digest=digest, media_type=media_type, size=len(body),
                subject_digest=state.digest, attached_by=caller.name,
            )
        ]  # fmt: skip

    written = await caller.decide(ref, Version(), decide)
    await caller.platform.objects.ensure(digest, body)
    return written.document(ref=ref, type=evidence_type, digest=digest)


ROUTES = [register_version, read_version, amend_metadata, attach_evidence]
