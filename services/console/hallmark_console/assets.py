"""Style, script and mark, served under names that carry a digest of their content, so that browsers may keep them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from litestar import Response, get
from registry_core.problems import not_found

_TYPES: Final = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_FOR_EVER: Final = {"cache-control": "public, max-age=31536000, immutable"}


@dataclass(frozen=True, slots=True)
class Asset:
    path: str
    """As templates link it, e.g. `/static/console.1f3a5c7e9b02.css`."""
    media_type: str
    body: bytes


def _load() -> Mapping[str, Asset]:
    folder = files("hallmark_console").joinpath("static")
    return {file.name: _asset(file.name, file.read_bytes()) for file in folder.iterdir()}


def _asset(name: str, body: bytes) -> Asset:
    stem, _, extension = name.rpartition(".")
    digest = hashlib.sha256(body).hexdigest()[:12]
    return Asset(f"/static/{stem}.{digest}.{extension}", _TYPES[extension], body)


ASSETS: Final = _load()
"""By file name."""
_BY_PATH: Final = {asset.path: asset for asset in ASSETS.values()}


@get("/static/{name:str}", public=True, sync_to_thread=False, include_in_schema=False)
def static(name: str) -> Response[bytes]:
    """One of the assets, by its hashed name."""
    asset = _BY_PATH.get(f"/static/{name}")
    if asset is None:
        raise not_found(f"/static/{name}", "load the page again: it links the files of this release")
    return Response(asset.body, media_type=asset.media_type, headers=_FOR_EVER)
