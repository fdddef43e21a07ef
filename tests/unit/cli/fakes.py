"""A server that is a function."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from support_sdk import Time as FakeTime
from typer.testing import Result

__all__ = ["URL", "Export", "FakeServer", "FakeTime", "Hallmark", "Refusing"]

Hallmark = Callable[..., Result]
Refusing = Callable[..., httpx.Response]
Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]
URL = "http://hallmark.test:8080"


@dataclass
class FakeServer:
    """Answers each request with the next of `answers`; the last one stays."""

    answers: list[Answer] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)

    def will(self, *answers: Answer) -> None:
        self.answers = list(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else _afresh(answer)

    @property
    def sent(self) -> Any:
        """The JSON of the last request."""
        return json.loads(self.requests[-1].content)


def _afresh(answer: httpx.Response) -> httpx.Response:
    """Whoever receives an answer makes its own of it; the next receiver may be of another kind."""
    try:
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
    except httpx.ResponseNotRead:
        return answer


@dataclass(frozen=True)
class Export:
    raw: bytes
    vkey: str
    checkpoint: str
    """Of the first three events."""
