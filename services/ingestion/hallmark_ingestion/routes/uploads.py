"""Files of versions coming in: in one request, or in as many as the connection needs.

The second way follows draft-ietf-httpbis-resumable-upload, with one upload for each account and declared file, at an
address that is known beforehand; so nothing has to be created first, and any process of the client's goes on.
"""

import re
from collections.abc import AsyncIterable
from typing import Any, Final

from litestar import HttpMethod, Request, Response, delete, patch, put, route
from litestar.openapi import ResponseSpec
from registry_core.events.versions import ArtifactStored
from registry_core.http import Caller
from registry_core.http.authorisation import IN_PATH
from registry_core.http.openapi import with_body
from registry_core.problems import Problem
from registry_core.uploads import Upload
from registry_core.values import File
from registry_core.version import Version

from hallmark_ingestion.domain import declared_file
from hallmark_ingestion.routes.versions import writable

AnyRequest = Request[Any, Any, Any]
_OFFSET: Final = re.compile("[0-9]{1,15}")
"""Structured Fields integers (RFC 9651) have up to 15 digits."""


@put(
    "/v1/versions/{ref:str}/files/{name:path}",
    action="amend",
    asset=IN_PATH,
    request_max_body_size=None,
    streamed=True,
    operation_class=with_body("application/octet-stream"),
)
async def store_file(ref: str, name: str, request: AnyRequest, caller: Caller) -> dict[str, Any]:
    """Upload one declared file. It is hashed while it flows in and kept only if it is what was registered."""
    _, file = await _declared(caller, ref, name)
    return await _store(caller, ref, file, request.stream())


@route(
    "/v1/versions/{ref:str}/uploads/{name:path}",
    http_method=[HttpMethod.HEAD],
    action="amend",
    asset=IN_PATH,
    status_code=204,
)
async def upload_offset(ref: str, name: str, caller: Caller) -> Response[None]:
    """`Upload-Offset` says how much of the file is here; the next PATCH goes on from there."""
    state, file = await _declared(caller, ref, name)
    limit = file.size if file.size is not None else caller.platform.settings.max_artifact_bytes
    if file.name in state.stored:
        return Response(None, status_code=204, headers=_progress(file.size or 0, complete=True))
    offset = await _upload(caller, ref, file).offset()
    return Response(None, status_code=204, headers=_progress(offset) | {"Upload-Limit": f"max-size={limit}"})


@patch(
    "/v1/versions/{ref:str}/uploads/{name:path}",
    action="amend",
    asset=IN_PATH,
    request_max_body_size=None,
    streamed=True,
    operation_class=with_body("application/octet-stream"),
    responses={204: ResponseSpec(None, description="What came is kept; go on at Upload-Offset")},
)
async def upload_part(ref: str, name: str, request: AnyRequest, caller: Caller) -> Response[Any]:
    """Send a declared file from `Upload-Offset` on; what arrives is kept, also of a request that breaks off.

    With `Upload-Complete: ?1`, or at the registered size, the file is put together, verified and stored: 200, as PUT
    answers. Before that it is 204 with the new `Upload-Offset`. Wrong content is forgotten: 422.
    """
    state, file = await _declared(caller, ref, name)
    upload, limit = _upload(caller, ref, file), caller.platform.settings.max_artifact_bytes
    if file.name in state.stored:
        await upload.discard()  # of a request that was carried out, and whose answer got lost
        return Response(_stored_already(caller, file), headers=_progress(file.size or 0, complete=True))
    most = min(limit, file.size) if file.size is not None else limit
    offset = await upload.append(_offset(request), request.stream(), most)
    if offset != file.size and request.headers.get("upload-complete") != "?1":
        return Response(None, status_code=204, headers=_progress(offset))
    return Response(await _put_together(caller, ref, file, upload), headers=_progress(offset, complete=True))


@delete("/v1/versions/{ref:str}/uploads/{name:path}", action="amend", asset=IN_PATH)
async def cancel_upload(ref: str, name: str, caller: Caller) -> None:
    """Forget what has come of a file so far."""
    _, file = await _declared(caller, ref, name)
    await _upload(caller, ref, file).discard()


async def _declared(caller: Caller, ref: str, name: str) -> tuple[Version, File]:
    state = await writable(caller, ref)
    return state, declared_file(state, name.lstrip("/"))


def _upload(caller: Caller, ref: str, file: File) -> Upload:
    """Nobody goes on with what another account began, so nobody spoils it either."""
    return Upload(caller.platform.objects, caller.name, ref, file.name, file.digest)


async def _put_together(caller: Caller, ref: str, file: File, upload: Upload) -> dict[str, Any]:
    try:
        await upload.finish(file.digest, caller.platform.settings.max_artifact_bytes, file.size)
    except Problem as problem:
        if problem.status == 422:  # it is complete, and not the file
            await upload.discard()
        raise
    await upload.discard()
    return await _record(caller, ref, file)


async def _store(caller: Caller, ref: str, file: File, chunks: AsyncIterable[bytes]) -> dict[str, Any]:
    limit = caller.platform.settings.max_artifact_bytes
    await caller.platform.objects.put_stream(file.digest, chunks, limit, size=file.size)
    return await _record(caller, ref, file)


async def _record(caller: Caller, ref: str, file: File) -> dict[str, Any]:
    stored = ArtifactStored(ref=ref, file=file, uri=caller.platform.objects.uri(file.digest))

    def decide(state: Version) -> list[ArtifactStored]:
        return [] if file.name in state.stored else [stored]

    written = await caller.decide(ref, Version(), decide)
    return written.document(file=file.name, digest=file.digest, uri=stored.uri)


def _stored_already(caller: Caller, file: File) -> dict[str, Any]:
    uri = caller.platform.objects.uri(file.digest)
    return {"file": file.name, "digest": file.digest, "uri": uri, "log_index": None}


def _offset(request: AnyRequest) -> int:
    text = request.headers.get("upload-offset", "").strip()
    if not _OFFSET.fullmatch(text):
        raise Problem(
            400, "invalid", "Upload-Offset is not the number of a byte", field="Upload-Offset",
            fix="ask with HEAD where the upload is, and send that number with the bytes from there on",
        )  # fmt: skip
    return int(text)


def _progress(offset: int, *, complete: bool = False) -> dict[str, str]:
    """Sections 4.1 and 4.3 of the draft."""
    return {"Upload-Offset": str(offset), "Upload-Complete": "?1" if complete else "?0", "Cache-Control": "no-store"}


ROUTES: list[Any] = [store_file, upload_offset, upload_part, cancel_upload]
