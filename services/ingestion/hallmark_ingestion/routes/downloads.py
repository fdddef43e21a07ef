"""Files of versions, whole or in part, and addresses at the store that give them."""

from datetime import timedelta
from typing import Any, Final

from litestar import HttpMethod, Request, Response, get, route
from litestar.openapi import ResponseSpec
from litestar.response import Stream
from registry_core.handlers import load
from registry_core.http.authorisation import IN_PATH
from registry_core.http.representation import Representation, Span, span_asked_for, unchanged
from registry_core.problems import Problem
from registry_core.service import Platform
from registry_core.values import File
from registry_core.version import Version

from hallmark_ingestion.domain import stored_file
from hallmark_ingestion.routes.versions import checked

AnyRequest = Request[Any, Any, Any]
URL_LIFETIME: Final = timedelta(minutes=5)
"""Short, since no role or token that is taken away ends it sooner. A transfer that has begun goes on."""


@route(
    "/v1/versions/{ref:str}/files/{name:path}",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    action="download",
    asset=IN_PATH,
    media_type="application/octet-stream",
    responses={
        206: ResponseSpec(bytes, media_type="application/octet-stream", generate_examples=False, description="A part"),
        304: ResponseSpec(None, description="It is as `If-None-Match` has it"),
    },
)
async def download_file(ref: str, name: str, request: AnyRequest, platform: Platform) -> Response[Any]:
    """One file, byte for byte as it was registered; `Range` gives a part, `ETag` is its digest.

    `Repr-Digest` is that of the whole file, so that whoever takes it in parts can verify it.
    """
    file = await _stored(platform, ref, name)
    offered = Representation(file.name, file.digest, await platform.objects.size(file.digest))
    if unchanged(offered, request.headers):
        return Response(b"", status_code=304, headers=offered.headers())
    if request.method == HttpMethod.HEAD:  # for which RFC 9110 defines no Range
        return Response(b"", headers=offered.describing(None))
    span = span_asked_for(offered, request.headers)
    chunks = await platform.objects.read(file.digest, _bounds(span))
    status = 206 if span else 200
    return Stream(chunks, status_code=status, headers=offered.describing(span))


@get("/v1/versions/{ref:str}/urls/{name:path}", action="download", asset=IN_PATH)
async def download_url(ref: str, name: str, platform: Platform) -> dict[str, Any]:
    """An address at the object store that gives the file to anybody until `expires_at`; verify it by `digest`."""
    file = await _stored(platform, ref, name)
    expires_at = platform.clock() + URL_LIFETIME
    url = await platform.objects.signed_url(file.digest, URL_LIFETIME)
    if url is None:
        raise Problem(
            409, "no-urls", "the artifacts are in a folder, which has no addresses",
            fix=f"download it from /v1/versions/{ref}/files/{file.name}; an S3 store (HALLMARK_OBJECTS_URL) has them",
        )  # fmt: skip
    return {"url": url, "expires_at": expires_at, "digest": file.digest, "size": file.size}


async def _stored(platform: Platform, ref: str, name: str) -> File:
    return stored_file(await load(platform.reader, Version(), checked(ref)), name.lstrip("/"))


def _bounds(span: Span | None) -> tuple[int, int] | None:
    return (span.first, span.end) if span else None


ROUTES: list[Any] = [download_file, download_url]
