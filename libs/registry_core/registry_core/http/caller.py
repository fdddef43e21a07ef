"""Who calls, and how what they do is appended: authenticated, idempotent, answered with a log position."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit
from uuid import UUID, uuid4, uuid5

from litestar.connection import ASGIConnection

from registry_core.access import asset_of
from registry_core.events import Event, NewEvent, Origin, derived_id
from registry_core.events.base import NAMESPACE
from registry_core.handlers import Evolving, fold
from registry_core.http.authorisation import require
from registry_core.http.last_use import LastUse, TokenName
from registry_core.http.questions import Questions
from registry_core.identity import Account, BearerToken, account_stream
from registry_core.notifier import SEALED
from registry_core.oidc.federation import Federation
from registry_core.oidc.verifier import looks_like_jwt
from registry_core.problems import Problem, conflict
from registry_core.service import Platform
from registry_core.store.idempotency import Asked
from registry_core.store.model import ANY, Append, Conflict
from registry_core.telemetry import APPENDED, current_traceparent

COOKIE: Final = "hallmark_token"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""RFC 9110, section 9.2.1."""
REMEMBERED: Final = 10_000
"""Accounts kept folded, by token."""
DECIDE_ATTEMPTS: Final = 20
SEALED_POLL: Final = 0.05
"""Seconds, behind the notification that something was sealed."""
LONGEST_NUMBER: Final = 18
"""Digits; every such number is a bigint."""

S = TypeVar("S", bound=Evolving)


@dataclass(frozen=True, slots=True)
class Written:
    """Where the write is in the log; reads with `at_least=` wait for it. None: not sealed yet, though durable."""

    log_index: int | None

    def document(self, **more: Any) -> dict[str, Any]:
        return {**more, "log_index": self.log_index}


class Authenticator:
    """Tokens to accounts, by folding the account's own stream: remembered for as long as the stream is as it was.

    Each request asks for the stream's version, so a token that was revoked opens nothing from then on.
    """

    def __init__(self, platform: Platform, questions: Questions, last_use: LastUse) -> None:
        self._platform, self._ask, self._last_use = platform, questions, last_use
        self.federation = Federation.of(platform, questions)
        self._cache: dict[BearerToken, Account] = {}
        """By all that a token says: its secret under another account's name asks for the wrong stream."""

    async def account(self, connection: ASGIConnection[Any, Any, Any, Any]) -> Account:
        """The calling account. Raises Problem 401."""
        text = _token_of(connection)
        if text and looks_like_jwt(text):
            return await self.federation.account(text)
        token = BearerToken.parse(text or "")
        if token is None:
            raise _unauthorised("no token was sent" if not text else "the token is not of Hallmark's form")
        account = await self._current(token)
        if not account.accepts(token, self._platform.clock()):
            self._cache.pop(token, None)
            raise _unauthorised("the token is unknown, revoked or expired")
        if len(self._cache) >= REMEMBERED:
            self._cache.clear()
        self._cache[token] = account
        self._last_use.note(TokenName(token.account, token.token_id), self._platform.clock())
        return account.narrowed(token)

    def remembers(self, connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
        """Whether the token that is sent opened something before."""
        text = _token_of(connection) or ""
        token = BearerToken.parse(text)
        if token is None:
            return self.federation.remembers(text)
        return token in self._cache

    async def _current(self, token: BearerToken) -> Account:
        stream, known = account_stream(token.account), self._cache.get(token)
        if known and known.version == await self._ask.version(stream):
            return known
        return fold(Account(), await self._ask.streams(stream))


def refuse_foreign_origin(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """A cookie comes along by itself: a write with it has to come from this site's own pages. Raises Problem 403.

    `SameSite=Strict` leaves out other ports and subdomains of the same site, which are as foreign. Credentials for a
    proxy before us (Basic) come along by themselves, too: only a bearer token stands for the cookie.
    """
    if connection.scope.get("method") in SAFE_METHODS or _bearer(connection) is not None:
        return
    origin = connection.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != connection.headers.get("host"):
        raise Problem(
            403, "foreign-origin", f"a page of {origin[:200]} may not write with this browser's sign-in",
            fix="write from Hallmark's own pages, or with `Authorization: Bearer <token>`",
        )  # fmt: skip


def sends_credentials(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Whether the caller claims to be somebody."""
    return "authorization" in connection.headers or COOKIE in connection.cookies


def _token_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    sent = _bearer(connection)
    return connection.cookies.get(COOKIE) if sent is None else sent


def _bearer(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    scheme, _, value = connection.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def _unauthorised(detail: str) -> Problem:
    return Problem(
        401, "unauthorised", detail,
        fix="sign in with `hallmark login`, or send `Authorization: Bearer <token>`; administrators issue tokens: "
            "`hallmark token issue`",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated account behind one request, and its way to write."""

    account: Account
    platform: Platform
    ask: Questions
    seed: UUID
    """From `Idempotency-Key` if sent, else random: ids of what this request writes derive from it."""
    retryable: bool
    expected: int | None
    """From `If-Match`: the stream version that the caller decided on."""
    digest: bytes = b""
    """Of the query and the body: a key stands for one request."""

    @classmethod
    def of(
        cls, connection: ASGIConnection[Any, Any, Any, Any], account: Account, platform: Platform, body: bytes = b""
    ) -> "Caller":
        ask: Questions = connection.app.state.questions
        key = connection.headers.get("idempotency-key")
        named = "\n".join((account.account, str(connection.scope.get("method", "")), connection.url.path, key or ""))
        seed = uuid5(NAMESPACE, named) if key else uuid4()
        query = hashlib.sha256(connection.scope["query_string"]).digest()
        digest = hashlib.sha256(query + hashlib.sha256(body).digest()).digest()
        return cls(account, platform, ask, seed, bool(key), _if_match(connection.headers.get("if-match")), digest)

    @property
    def name(self) -> str:
        return self.account.account

    def require(self, action: str, asset: str) -> None:
        """Raises Problem 403 unless the caller may do this to the asset, `kind:name` or a reference to a version."""
        require(self.account, action, asset_of(asset))

    async def decide(self, stream: str, initial: S, decision: Callable[[S], Sequence[Event]]) -> Written:
        """Fold the stream, decide, append; decide anew when somebody else was faster. No events: nothing is written.

        A repeated `Idempotency-Key` answers with what the first request wrote, if it was the same. Raises Problem.
        """
        if self.retryable:
            known = await self.ask.request(Asked(self.seed, derived_id(self.seed, stream, 0)))
            if known.digest not in (None, self.digest):
                raise _key_reused()
            if known.written:
                return Written(known.log_index)
        for _ in range(DECIDE_ATTEMPTS):
            state = fold(initial, await self.ask.streams(stream))
            self._check_expected(state.version)
            events = decision(state)
            if not events:
                return Written(None)
            await self.claim()
            written = await self.append(stream, events, expected=state.version)
            if written is not None:
                return written
        raise conflict(f"{stream} changed {DECIDE_ATTEMPTS} times while this was decided", "try again")

    async def claim(self) -> None:
        """Take the Idempotency-Key, if one was sent, before anything is written. Raises Problem 422."""
        if self.retryable and not await self.ask.claim((self.seed, self.digest)):
            raise _key_reused()

    def _check_expected(self, current: int) -> None:
        if self.expected is not None and self.expected != current:
            raise Problem(
                412, "stale-version", f"the stream is at version {current}, not {self.expected}",
                fix="read the version again, look at what changed, and send its new version as If-Match",
                current_version=current,
            )  # fmt: skip

    @property
    def origin(self) -> Origin:
        """Of what this request writes."""
        trace = current_traceparent()
        return Origin(actor=self.name, occurred_at=self.platform.clock(), correlation_id=self.seed, traceparent=trace)

    def events(self, stream: str, events: Sequence[Event]) -> list[NewEvent]:
        """What this request writes to the stream: again with the same Idempotency-Key they have the same ids."""
        origin = self.origin
        return [
            NewEvent(id=derived_id(self.seed, stream, n), data=data, origin=origin) for n, data in enumerate(events)
        ]

    async def append(self, stream: str, events: Sequence[Event], expected: int | None = ANY) -> Written | None:
        """Append without looking; None when the stream is not at `expected`."""
        new = self.events(stream, events)
        (result,) = await self.platform.store.append(Append(stream, new, expected))
        if isinstance(result, Conflict):
            return None
        for event in events:
            APPENDED.labels(event.type).inc()
        return Written(await self._sealed(new[-1].id))

    async def _sealed(self, event: UUID, timeout: float = 5.0) -> int | None:
        """The log index, as soon as there is one; None if there is none within `timeout` seconds."""
        sealing = self.platform.notifier.subscribe(SEALED)
        try:
            async with asyncio.timeout(timeout):
                while (index := await self.ask.sealed(event)) is None:
                    await sealing.wait(SEALED_POLL)
                return index
        except TimeoutError:
            return None
        finally:
            sealing.close()


def _key_reused() -> Problem:
    return Problem(
        422, "idempotency-key-reused", "this Idempotency-Key was sent before, with another body or query",
        fix="send the same request again, or take a new key for a new one", field="Idempotency-Key",
    )  # fmt: skip


def _if_match(header: str | None) -> int | None:
    if header is None:
        return None
    text = header.strip().removeprefix("W/").strip('"')
    if not text.isdecimal() or len(text) > LONGEST_NUMBER:
        raise Problem(400, "invalid", "If-Match takes the version of the stream as a number", field="If-Match")
    return int(text)
