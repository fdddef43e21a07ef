"""A witness over HTTP that speaks C2SP tlog-witness: `POST <url>/add-checkpoint`.

The body is `old <size>`, the consistency proof from that size (base64, one hash a line), a blank line and the note. 200
is answered with cosignatures; 409 with the size that the witness holds, from which it is tried once more.
"""

from collections.abc import Sequence
from typing import Final

import httpx

from registry_core.proofs.canonical import to_base64
from registry_core.witnesses.base import LogView, WitnessAwayError, WitnessConflictError

_TIMEOUT: Final = 10.0
_LONGEST_ANSWER: Final = 65_536


class HttpWitness:
    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.url, self._transport = url.rstrip("/"), transport
        self._held = 0
        self.cosignatures = ""
        """The signature lines of the newest answer."""

    async def keep(self, size: int, note: str, log: LogView) -> None:
        answer = await self._add(size, note, log)
        if answer.status_code == httpx.codes.CONFLICT:
            self._held = self._size_in(answer)
            answer = await self._add(size, note, log)
        if answer.status_code != httpx.codes.OK:
            raise self._refusal(answer, size)
        self._held, self.cosignatures = size, answer.text

    async def newest(self) -> str | None:
        """By a plain GET of the URL, which a distributor answers with a note."""
        answer = await self._send(httpx.Request("GET", self.url))
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.status_code != httpx.codes.OK:
            raise WitnessAwayError(f"{self.url} answered {answer.status_code}")
        return answer.text

    async def _add(self, size: int, note: str, log: LogView) -> httpx.Response:
        if self._held > size:
            raise WitnessConflictError(
                f"{self.url} holds a checkpoint of {self._held} events, this log has signed {size}: "
                "its tail was cut off"
            )
        proof = await log.consistency(self._held, size)
        content = request_body(self._held, proof, note)
        return await self._send(httpx.Request("POST", f"{self.url}/add-checkpoint", content=content))

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

    def _size_in(self, answer: httpx.Response) -> int:
        text = answer.text.strip()
        if not (text.isascii() and text.isdecimal()) or len(text) > 19:
            raise WitnessAwayError(f"{self.url} answered 409 without the size that it holds")
        return int(text)

    def _refusal(self, answer: httpx.Response, size: int) -> Exception:
        told = answer.text[:200].strip()
        if answer.status_code in (httpx.codes.CONFLICT, httpx.codes.UNPROCESSABLE_ENTITY):
            return WitnessConflictError(
                f"{self.url} does not accept that the log of {size} events extends the one of {self._held} that it "
                f"holds ({answer.status_code} {told}): one of them was rewritten"
            )
        return WitnessAwayError(f"{self.url} answered {answer.status_code} {told}")


def request_body(old: int, proof: Sequence[bytes], note: str) -> str:
    """C2SP tlog-witness, add-checkpoint."""
    return "\n".join((f"old {old}", *map(to_base64, proof), "", note))
