"""Asking an outer system over HTTP: with its credentials, bounded in time and size, never led to another host."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ValidationError

TIMEOUT: Final = httpx.Timeout(30, connect=10)
"""Seconds; of a download between two pieces."""
LARGEST_ANSWER: Final = 64 * 1024 * 1024
"""Bytes of a JSON answer; a page of 1000 versions has about 1 MB."""
LONGEST_ANSWER: Final = 120.0
"""Seconds for a JSON answer as a whole: one that only drips holds up nobody else."""
MOST_REDIRECTS: Final = 5
Query = Mapping[str, str | int] | None
M = TypeVar("M", bound=BaseModel)


class SourceAwayError(ConnectionError):
    """A source that does not answer, or not as it should: nothing is concluded from that, and it is asked again."""


class SourceCredentialError(SourceAwayError):
    """A source that does not take what it is asked with, or asks for more."""


class SourceRefusalError(Exception):
    """The source itself says that there is no such thing: HTTP 404, or the error code of a Hugging Face API."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(f"{status} {code} {text}".strip())
        self.code = code


class Asking:
    """One source's HTTP API."""

    def __init__(
        self, name: str, url: str, headers: Mapping[str, str], client: httpx.AsyncClient, credentials: str = ""
    ) -> None:
        """`credentials` tells a person where those in `headers` come from."""
        self._name, self._url, self._headers, self._client = name, url.rstrip("/"), headers, client
        self._credentials = credentials or f"`hallmark source credential {name} --credential-file FILE`"

    @property
    def url(self) -> str:
        return self._url

    async def json(self, path: str, query: Query = None) -> Any:
        """A decoded answer. Raises SourceAwayError, SourceRefusalError."""
        try:
            async with asyncio.timeout(LONGEST_ANSWER):
                body = await self._whole(path, query)
        except TimeoutError:
            raise self.away(f"takes longer than {LONGEST_ANSWER:g} s for {path}") from None
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise self.away(f"answers {path} with what is no JSON: {body[:80]!r}") from None

    async def _whole(self, path: str, query: Query) -> bytes:
        async with self.opened(path, query) as response:
            body = bytearray()
            async for chunk in self.chunks(response):
                body += chunk
                if len(body) > LARGEST_ANSWER:
                    raise self.away(f"answers {path} with more than {LARGEST_ANSWER} bytes")
        return bytes(body)

    async def read(self, model: type[M], path: str, query: Query = None) -> M:
        """The answer as a model. Raises as `json`."""
        try:
            return model.model_validate(await self.json(path, query))
        except ValidationError as error:
            first = error.errors()[0]
            where = "/".join(map(str, first["loc"]))
            raise self.away(f"answers {path} otherwise than it should, at {where}: {first['msg']}") from None

    @asynccontextmanager
    async def opened(
        self, path: str, query: Query = None, *, elsewhere: Collection[str] = ()
    ) -> AsyncIterator[httpx.Response]:
        """An answer whose content can be streamed. Raises as `json`.

        A redirect is followed within the source's own origin, and over HTTPS to hosts that end as one of `elsewhere`,
        which see no credentials.
        """
        url = httpx.URL(f"{self._url}{path}", params=query)
        for _ in range(MOST_REDIRECTS):
            response = await self._send(url)
            try:
                if not response.is_redirect:
                    await self._check(response, path)
                    yield response
                    return
                url = self._next(response, path, elsewhere)
            finally:
                await response.aclose()
        raise self.away(f"sends {path} on and on")

    async def _send(self, url: httpx.URL) -> httpx.Response:
        headers = self._headers if same_origin(str(url), self._url) else {}
        request = self._client.build_request("GET", url, headers=headers, timeout=TIMEOUT)
        try:
            return await self._client.send(request, stream=True, follow_redirects=False)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self.away(f"does not answer: {error!r}") from error

    def _next(self, response: httpx.Response, path: str, elsewhere: Collection[str]) -> httpx.URL:
        to = response.headers["location"]
        try:
            url = response.url.join(to)
        except httpx.InvalidURL:
            raise self.away(f"sends {path} on to {to[:200]!r}, which is no address") from None
        trusted = url.scheme == "https" and any(url.host.endswith(host) for host in elsewhere)
        if not trusted and not same_origin(str(url), self._url):
            raise self.away(f"sends {path} on to {url.scheme}://{url.host}, which is not trusted")
        return url

    async def _check(self, response: httpx.Response, path: str) -> None:
        if response.is_success:
            return
        code, text = response.headers.get("x-error-code", ""), await _beginning(response)
        if response.status_code == 404 or code:
            raise SourceRefusalError(response.status_code, code, text)
        if response.status_code in (401, 403):
            what = f"refuses {path} ({response.status_code}); give it what it asks for: {self._credentials}"
            raise SourceCredentialError(str(self.away(what)))
        raise self.away(f"answers {path} with {response.status_code}: {text[:500]}")

    async def chunks(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """The content as it comes. Raises SourceAwayError when it breaks off."""
        try:
            async for chunk in response.aiter_bytes():
                yield chunk
        except httpx.HTTPError as error:
            raise self.away(f"broke off: {error!r}") from error

    def away(self, what: str) -> SourceAwayError:
        """An error that names the source and what can be done."""
        return SourceAwayError(
            f"source {self._name} at {self._url} {what}. Nothing is concluded from that, and it is asked again; "
            f"if it goes on, check the address and that the server runs"
        )


async def _beginning(response: httpx.Response) -> str:
    """Of an error's text, for a person."""
    body = bytearray()
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > 2000:
                break
    except httpx.HTTPError:
        pass
    return bytes(body[:2000]).decode("utf-8", "replace")


def same_origin(one: str, other: str) -> bool:
    """Scheme, host and port are the same."""
    return _origin(one) == _origin(other)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def authorization(credential: str | None) -> dict[str, str]:
    """The header that asks in our name: Basic for `user:password`, else a bearer token; none without a credential."""
    if not credential:
        return {}
    if ":" in credential:
        return {"Authorization": f"Basic {base64.b64encode(credential.encode()).decode()}"}
    return {"Authorization": f"Bearer {credential}"}
