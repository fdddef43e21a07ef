"""Importing from a Hugging Face hub, pinned to a commit: asked for here, done as a job, and told how far it is."""

from typing import Annotated, Any
from uuid import UUID

from litestar import get, post
from litestar.params import Parameter
from pydantic import Field
from registry_core.events import derived_id
from registry_core.handlers import StartJob
from registry_core.http import Caller
from registry_core.http.authorisation import IN_BODY, LISTED
from registry_core.messaging.unit_of_work import enqueue
from registry_core.problems import Problem, invalid, not_found
from registry_core.service import Platform
from registry_core.sources import find_source
from registry_core.values import Ref, Value

from hallmark_ingestion.external.huggingface_import import Wanted, default_asset
from hallmark_ingestion.external.huggingface_state import parse_url
from hallmark_ingestion.external.imports import Imports
from hallmark_ingestion.external.observing import IMPORT

URGENT = 10
"""Somebody waits."""


class ImportVersion(Value):
    url: Annotated[str, Field(max_length=400)]
    """`hf://organisation/name@revision`; the revision is resolved to its commit."""
    ref: Ref | None = None
    """What it is registered as; whoever may register some assets alone has to name it. By default
    `model:<organisation>.<name>@` its tag's version or its commit."""
    source: str | None = None
    """A connected source of kind `huggingface`: asked by its address, and the repository followed from then on, so that
    its later versions come under its own name, `model:<organisation>.<name>`: for whoever may register that, too."""


@post("/v1/imports", action="register", asset=IN_BODY, status_code=202)
async def import_version(data: ImportVersion, caller: Caller) -> dict[str, Any]:
    """Import one commit of a repository as a draft. `GET /v1/imports/<id>` tells how far it is."""
    try:
        repository, revision = parse_url(data.url)
    except ValueError as error:
        raise invalid(str(error), "write hf://organisation/name@revision", field="/url") from error
    if data.source is not None:
        caller.require("register", default_asset(repository))
    endpoint = await _endpoint(caller.platform, data.source)
    await caller.claim()
    made = derived_id(caller.seed, "import")
    wanted = Wanted(repository, revision, caller.name, data.ref or "")
    job = StartJob(IMPORT, {"import": str(made)}, URGENT)
    async with caller.platform.pool.acquire() as connection, connection.transaction():
        await Imports(connection).ask(made, wanted, data.source or "", endpoint)
        await enqueue(connection, "ingestion", {derived_id(made, "job"): job})
    return await _document(caller.platform, made)


async def _endpoint(platform: Platform, source: str | None) -> str:
    if source is None:
        return platform.settings.huggingface_endpoint
    found = await find_source(platform.reader, source)
    if not found.connected or found.kind != "huggingface" or not found.url:
        raise Problem(
            422, "invalid", f"{source} is no connected source of kind huggingface with an address", field="/source",
            fix="connect it, or leave the source out to import from the hub",
        )  # fmt: skip
    return found.url


async def _document(platform: Platform, made: UUID) -> dict[str, Any]:
    found = await Imports(platform.pool).document(made)
    if found is None:
        raise not_found(f"import {made}", "list them: GET /v1/imports")
    return found


@get("/v1/imports/{number:str}", action="read", asset=LISTED)
async def read_import(number: str, caller: Caller) -> dict[str, Any]:
    """`state` is waiting, running, done or refused; `reason` and `fix` say why not."""
    try:
        made = UUID(number)
    except ValueError:
        raise not_found(f"import {number[:100]}", "list them: GET /v1/imports") from None
    found = await _document(caller.platform, made)
    if found["account"] != caller.name:
        caller.require("read", found["ref"])
    return found


@get("/v1/imports", action="read")
async def list_imports(
    platform: Platform, limit: Annotated[int, Parameter(ge=1, le=1000)] = 100
) -> list[dict[str, Any]]:
    """The newest first."""
    return await Imports(platform.pool).listing(limit)


ROUTES = [import_version, read_import, list_imports]
