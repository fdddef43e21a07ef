"""A witness over HTTP that speaks C2SP tlog-witness: `POST <url>/add-checkpoint`.

The body is `old <size>`, the consistency proof from that size (base64, one hash a line), a blank line and the note. 200
is answered with cosignatures; 409 with the size that the witness holds, from which it is tried once more.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import httpx

from registry_core.proofs.canonical import to_base64
from registry_core.proofs.cosignature import Cosignature, WitnessKey, cosignatures
from registry_core.proofs.note import NoteError
from registry_core.witnesses.base import (
    CosignatureError,
    LogContradictedError,
    LogView,
    WitnessAwayError,
    compare,
    cut_off,
    stated,
)

_TIMEOUT: Final = 10.0
_LONGEST_ANSWER: Final = 65_536


class HttpWitness:
    """With its key, what it answers is verified and handed on; without, its cosignatures are not looked at."""

    def __init__(
        self, url: str, key: WitnessKey | None = None, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.url, self._key, self._transport = url.rstrip("/"), key, transport
        self._held = 0

    async def keep(self, size: int, note: str, log: LogView) -> Sequence[Cosignature]:
        answer = await self._add(size, note, log)
        if answer.status_code == httpx.codes.CONFLICT:
            self._held = self._size_in(answer, size)
            if self._held > size:
                return await self._ahead(stated(note).origin, log)
            answer = await self._add(size, note, log)
        if answer.status_code != httpx.codes.OK:
            raise self._refusal(answer, size)
        self._held = size
        return self._verified(note, answer.text)

    async def newest(self) -> str | None:
        """By a plain GET of the URL, which a distributor answers with a note; a page for people is none."""
        answer = await self._send(httpx.Request("GET", self.url))
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.status_code != httpx.codes.OK:
            raise WitnessAwayError(f"{self.url} answered {answer.status_code}")
        return answer.text if _is_checkpoint(answer.text) else None

    async def _add(self, size: int, note: str, log: LogView) -> httpx.Response:
        old = min(self._held, size)
        content = request_body(old, await log.consistency(old, size), note)
        return await self._send(httpx.Request("POST", f"{self.url}/add-checkpoint", content=content))

    async def _ahead(self, origin: str, log: LogView) -> Sequence[Cosignature]:
        """It knows a larger checkpoint than ours: a failover may have cost us the row, or the log lost its tail.

        Its size alone tells the second. Where it shows its note, that is compared; else it will refuse our next one.
        """
        if self._held > (size := await log.size()):
            raise cut_off(self.url, self._held, size)
        with suppress(WitnessAwayError):
            if held := await self.newest():
                await compare(self.url, held, origin, log)
        return ()

    def _verified(self, note: str, answer: str) -> Sequence[Cosignature]:
        if self._key is None:
            return ()
        try:
            found = cosignatures(note + answer, [self._key])
        except NoteError as error:
            raise CosignatureError(f"{self.url} answered with what is no cosignature: {error}") from error
        if not found:
            raise CosignatureError(f"{self.url} answered with no cosignature of the key {self._key.vkey}")
        return found

    async def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT, transport=self._transport) as client:
                request.extensions["timeout"] = httpx.Timeout(_TIMEOUT).as_dict()
                answer = await client.send(request)
        except httpx.HTTPError as error:
            raise WitnessAwayError(f"{self.url}: {error!r}") from error
        if len(answer.content) > _LONGEST_ANSWER:
            raise WitnessAwayError(f"{self.url} answered with {len(answer.content)} bytes; a note is smaller")
        return answer

    def _size_in(self, answer: httpx.Response, size: int) -> int:
        text = answer.text.strip()
        if _is_size(text):
            return int(text)
        if self._held == size:  # the sizes agree, so the roots do not
            raise self._refusal(answer, size)
        raise WitnessAwayError(f"{self.url} answered 409 without the size that it holds")

    def _refusal(self, answer: httpx.Response, size: int) -> Exception:
        told = answer.text[:200].strip()
        if answer.status_code == httpx.codes.CONFLICT and _is_size(told) and int(told) != self._held:
            return WitnessAwayError(f"{self.url} was given another checkpoint meanwhile ({told})")
        if answer.status_code in (httpx.codes.CONFLICT, httpx.codes.UNPROCESSABLE_ENTITY):
            return LogContradictedError(
                f"{self.url} does not accept that the log of {size} events extends the one of {self._held} that it "
                f"holds ({answer.status_code} {told}): one of them was rewritten"
            )
        return WitnessAwayError(f"{self.url} answered {answer.status_code} {told}")


def _is_checkpoint(text: str) -> bool:
    try:
        stated(text)
    except NoteError:
        return False
    return True


def _is_size(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 19


def request_body(old: int, proof: Sequence[bytes], note: str) -> str:
    """C2SP tlog-witness, add-checkpoint."""
    return "\n".join((f"old {old}", *map(to_base64, proof), "", note))
