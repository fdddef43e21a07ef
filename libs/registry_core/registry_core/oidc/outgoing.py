"""Calls to an issuer: bounded in time and size, never redirected, answered with a JSON object or not at all."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

import httpx

SECONDS: Final = 5.0
"""For a whole call, however slowly it drips."""
LARGEST: Final = 512 * 1024
"""Bytes of an answer; the largest known key set (Entra ID's) has about 20 kB."""


class OutgoingError(Exception):
    """The issuer did not answer, or with what is no JSON object."""


async def get_json(url: str) -> dict[str, Any]:
    """Raises OutgoingError."""
    status, found = await _asked(url, None, None)
    if status != httpx.codes.OK:
        raise OutgoingError(f"{url} answered {status}")
    return found


async def post_form(url: str, form: Mapping[str, str], basic: tuple[str, str] | None) -> tuple[int, dict[str, Any]]:
    """The status and what was answered, refusals included. Raises OutgoingError."""
    return await _asked(url, form, basic)


async def _asked(url: str, form: Mapping[str, str] | None, basic: tuple[str, str] | None) -> tuple[int, dict[str, Any]]:
    try:
        async with (
            asyncio.timeout(SECONDS),
            httpx.AsyncClient(timeout=SECONDS, follow_redirects=False, headers={"accept": "application/json"}) as http,
            http.stream("POST" if form else "GET", url, data=form, auth=basic or httpx.USE_CLIENT_DEFAULT) as answer,
        ):
            return answer.status_code, _object(url, answer, await _read(url, answer))
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
        raise OutgoingError(f"{url} does not answer: {str(error) or type(error).__name__}") from error


async def _read(url: str, answer: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > LARGEST:
            raise OutgoingError(f"{url} answers with more than {LARGEST} bytes")
    return bytes(body)


def _object(url: str, answer: httpx.Response, body: bytes) -> dict[str, Any]:
    if answer.is_redirect:
        raise OutgoingError(f"{url} leads elsewhere ({answer.status_code}); an issuer answers by itself")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise OutgoingError(f"{url} answered {answer.status_code} with what is no JSON object")
    return found
