"""The connection: authentication, retries up to a deadline, downloads."""

import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import anyio
import anyio.to_thread
import httpx

from hallmark import credentials, wire
from hallmark.errors import HallmarkError, UnreachableError
from hallmark.meter import Progress
from hallmark.wire import Call, Document

T = TypeVar("T")

_TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0, write=60.0, pool=None)
_CHUNK: Final = 1024 * 1024


class _BusyError(Exception):
    """An answer that stands for no answer. `fix`: what the server itself says to do, if it says anything."""

    def __init__(self, response: httpx.Response) -> None:
        refusal = wire.refusal(response.status_code, response.content)
        told = f": {refusal.detail}" if refusal.problem else ""
        self.fix = refusal.fix if refusal.problem else ""
        self.after = wire.retry_after(response.headers.get("retry-after", ""))
        super().__init__(f"it answered {response.status_code}{told}")


@dataclass(frozen=True, slots=True)
class AsyncRetry:
    """For how long a call is sent again, and how time passes (tests bring their own)."""

    seconds: float = 60.0
    notice: Callable[[str], object] = lambda _: None
    """Told the reason of the first failure of each call."""
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    clock: Callable[[], float] = time.monotonic


class AsyncSession:
    """One server as one account. It may be shared, as httpx's client may: by any number of tasks, or of threads."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        retry: AsyncRetry | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        known = credentials.resolve(url, token)
        self.url, self._retry = known.url, retry or AsyncRetry()
        headers = {"Authorization": f"Bearer {known.token}"} if known.token else {}
        try:
            self._http = httpx.AsyncClient(base_url=known.url, headers=headers, timeout=_TIMEOUT, transport=transport)
        except (httpx.InvalidURL, UnicodeError) as error:
            raise wire.bad_url(known.url, str(error)) from error
        if self._http.base_url.scheme not in ("http", "https") or not self._http.base_url.host:
            raise wire.bad_url(known.url, "it does not name a protocol and a host")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; as a context, the client does so itself."""
        await self._http.aclose()

    async def send(self, call: Call) -> Any:
        """The parsed answer. Raises HallmarkError for a refusal, UnreachableError for none."""
        return await self.retrying(lambda: self.send_once(call))

    async def ask(self, call: Call) -> Document:
        """The answer where it is a JSON object. Raises as `send`, and HallmarkError for anything else."""
        found = await self.send(call)
        if not isinstance(found, dict):
            fix = "see that the URL is Hallmark's, and that client and server are of the same release"
            raise HallmarkError("Unreadable answer", f"{call.path} did not answer with a JSON object", fix=fix)
        return found

    async def save(self, call: Call, path: Path, progress: Progress | None = None) -> Path:
        """Write the answer to a file, whole or not at all. Raises as `send`, and OSError."""
        return await self.retrying(lambda: self._save_once(call, path, progress or (lambda _: None)))

    async def retrying(self, attempt: Callable[[], Awaitable[T]], moved: Callable[[], int] = lambda: 0) -> T:
        """The attempt's value, made again while the server is not there, for as long as it gets on.

        `moved` says how far it has got: the time for retries begins anew whenever that has grown.
        """
        begun, noticed, before = self._retry.clock(), False, moved()
        for pause in wire.pauses():
            try:
                return await attempt()
            except httpx.LocalProtocolError as error:  # e.g. a line break in the token
                raise HallmarkError("Bad request", f"this cannot be sent: {error}", fix="look at the token") from error
            except (httpx.TransportError, _BusyError) as error:
                reason = str(error) or type(error).__name__
                wait = max(pause, error.after) if isinstance(error, _BusyError) else pause
                if moved() > before:
                    begun, before = self._retry.clock(), moved()
                if self._retry.clock() - begun + wait > self._retry.seconds:
                    fix = error.fix if isinstance(error, _BusyError) else ""
                    raise UnreachableError(self.url, reason, self._retry.seconds, fix) from error
                if not noticed:
                    self._retry.notice(reason)
                noticed = True
            await self._retry.sleep(wait)
        raise AssertionError("pauses never end")

    async def send_once(self, call: Call) -> Any:
        """One attempt of what `retrying` makes again."""
        response = await self._http.send(self._request(call))
        _check(response)
        return wire.answer(response.content, response.headers.get("content-type", ""))

    async def _save_once(self, call: Call, path: Path, progress: Progress) -> Path:
        async with self.opened(call) as response:
            return await _write_whole(response, path, progress)

    async def head(self, path: str) -> httpx.Headers:
        """The headers that one attempt of a HEAD gets. Raises as an attempt may."""
        async with self.opened(Call(method="HEAD", path=path)) as response:
            return response.headers

    @contextlib.asynccontextmanager
    async def opened(self, call: Call, headers: Mapping[str, str] | None = None) -> AsyncIterator[httpx.Response]:
        """One attempt's answer, its body still to be read. Raises as an attempt may."""
        response = await self._http.send(self._request(call, headers), stream=True)
        try:
            if not response.is_success:
                await response.aread()
            _check(response)
            yield response
        finally:
            await response.aclose()

    def _request(self, call: Call, headers: Mapping[str, str] | None = None) -> httpx.Request:
        content = call.content() if callable(call.content) else call.content
        sent = {**call.headers, **(headers or {})}
        timeout = _TIMEOUT if call.patience is None else httpx.Timeout(60.0, connect=5.0, read=call.patience, pool=None)
        return self._http.build_request(
            call.method, call.path, params=call.params, headers=sent, content=content, timeout=timeout
        )


def _check(response: httpx.Response) -> None:
    elsewhere = response.status_code == 409 and "upload-offset" in response.headers  # where it is has to be asked anew
    if response.status_code in wire.BUSY or elsewhere:
        raise _BusyError(response)
    if not response.is_success:
        raise wire.refusal(response.status_code, response.content)


async def _write_whole(response: httpx.Response, path: Path, progress: Progress) -> Path:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    half, moved = Path(name), 0
    try:
        with os.fdopen(descriptor, "wb") as file:
            async for chunk in response.aiter_bytes(_CHUNK):
                await anyio.to_thread.run_sync(file.write, chunk)
                moved += len(chunk)
                progress(len(chunk))
        half.replace(path)
    except BaseException:
        progress(-moved)
        half.unlink(missing_ok=True)
        raise
    return path
