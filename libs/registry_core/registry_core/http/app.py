"""The Litestar application around any set of services: authentication, authorisation, errors, limits, metrics."""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import structlog
from litestar import Litestar, MediaType, Request, Response, get
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException, SerializationException, ValidationException
from litestar.handlers import BaseRouteHandler
from litestar.middleware import DefineMiddleware
from litestar.openapi.plugins import ScalarRenderPlugin, SwaggerRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ASGIApp, Receive, Scope, Send
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.trace import Span
from prometheus_client import generate_latest

from registry_core.events import NewerEventTypeError
from registry_core.forms import in_words
from registry_core.http import openapi
from registry_core.http.authorisation import authorise
from registry_core.http.caller import Authenticator, Caller, refuse_foreign_origin, sends_credentials
from registry_core.http.headers import add_headers
from registry_core.http.last_use import LastUse
from registry_core.http.limits import Limits
from registry_core.http.moments import read_moment
from registry_core.http.questions import Questions
from registry_core.identity import Account
from registry_core.moments import CLOCK_TOLERANCE
from registry_core.problems import Problem
from registry_core.service import Platform, Service
from registry_core.store.connections import TRANSIENT
from registry_core.store.model import DuplicateEventError, EventTooLargeError
from registry_core.telemetry import REFUSALS, continued, is_tracing
from registry_core.values import storable
from registry_core.version import IllegalTransitionError

log = structlog.get_logger()

BODY_LIMIT = 4 * 1024 * 1024
"""Bytes of an ordinary request; routes that take files set their own."""
BODY_SECONDS = 60.0
"""In which an ordinary body has to come, and each part of a file."""
AnyRequest = Request[Any, Any, Any]


def make_app(platform: Platform, services: Sequence[Service]) -> Litestar:
    """The application that serves these services' routes."""
    routes = [route for service in services for route in service.routes]
    questions, last_use = Questions.of(platform.pool), LastUse(platform.pool)
    return Litestar(
        route_handlers=[live, ready, metrics, *routes],
        guards=[_deny_by_default],
        dependencies={
            "caller": Provide(_caller),
            "platform": Provide(_platform, sync_to_thread=False),
            "moment": Provide(read_moment, sync_to_thread=False),
        },
        state=State(
            {
                "platform": platform,
                "questions": questions,
                "authenticator": Authenticator(platform, questions, last_use),
                "last_use": last_use,
                "limits": Limits(platform.settings),
            }
        ),
        on_shutdown=[last_use.close],
        exception_handlers={
            Problem: _problem,
            ValidationException: _validation,
            HTTPException: _http_error,
            IllegalTransitionError: _illegal,
            DuplicateEventError: _duplicate,
            EventTooLargeError: _too_large,
            NewerEventTypeError: _newer,
            asyncpg.DataError: _unfit,
            Exception: _unexpected,
        },
        middleware=[DefineMiddleware(_Traced), DefineMiddleware(_BodyInTime)],
        before_send=[add_headers],
        request_class=_JsonRequest,
        request_max_body_size=BODY_LIMIT,
        logging_config=None,  # structlog's, as for everything else
        openapi_config=openapi.Config(
            title="Hallmark",
            version="1",
            description="Event-driven governance for machine-learning models.",
            path="/schema",
            render_plugins=[SwaggerRenderPlugin(path="/swagger"), ScalarRenderPlugin(path="/scalar")],
            components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}),
            security=[{"token": []}],
            handlers=routes,
        ),
    )


async def _deny_by_default(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """A route names its `action` and `asset`, or says `public=True`; one that does neither is closed to everybody."""
    if "\0" in connection.scope["path"] or b"%00" in connection.scope["query_string"]:
        raise Problem(400, "invalid", "the address holds a NUL", fix="take %00 out of it")
    if connection.scope["path"].startswith("/schema") or handler.opt.get("unlimited"):
        return
    limits: Limits = connection.app.state.limits
    if handler.opt.get("public"):
        limits.stranger(connection, handler.opt.get("counted_by", ""))
        return
    refuse_foreign_origin(connection)
    account = await _authenticated(connection, limits)
    connection.scope["user"] = account
    limits.account(connection, account.account)
    await authorise(connection, handler, account)


async def _authenticated(connection: ASGIConnection[Any, Any, Any, Any], limits: Limits) -> Account:
    """The calling account. Raises Problem 401, 403 for an issuer's token that nobody's account stands for; 429 for an
    address that is refused too often, unless it is known.
    """
    authenticator: Authenticator = connection.app.state.authenticator
    if not sends_credentials(connection):
        limits.stranger(connection)
    elif not authenticator.remembers(connection):
        limits.check_failures(connection)
    try:
        return await authenticator.account(connection)
    except Problem as problem:
        if problem.status in (401, 403) and sends_credentials(connection):
            limits.failed(connection)
        raise


async def _caller(request: AnyRequest) -> Caller:
    streamed = request.route_handler.opt.get("streamed")  # what it has to be is in its address
    body = await request.body() if request.headers.get("idempotency-key") and not streamed else b""
    return Caller.of(request, request.scope["user"], request.app.state.platform, body)


def _platform(request: AnyRequest) -> Platform:
    platform: Platform = request.app.state.platform
    return platform


@get("/health/live", public=True, unlimited=True, security=[{}], media_type=MediaType.TEXT, sync_to_thread=False)
def live() -> str:
    """The process answers."""
    return "live"


_HEAD = "select next_index, clock_timestamp() from log.sealer_state"


@get("/health/ready", public=True, unlimited=True, security=[{}])
async def ready(platform: Platform) -> Response[dict[str, Any]]:
    """Whether the database answers, by a clock that agrees with ours; 503 with the reason when it does not."""
    try:
        ((head, theirs),) = await platform.pool.fetch(_HEAD, timeout=2)
    except TRANSIENT as error:
        return Response({"ready": False, "reason": repr(error)}, status_code=503)
    if abs(ahead := platform.clock() - theirs) > CLOCK_TOLERANCE:
        reason = f"this machine's clock is {ahead.total_seconds():+.0f} s from the database's; set both by NTP"
        return Response({"ready": False, "reason": reason}, status_code=503)
    return Response({"ready": True, "log_size": head})


@get("/metrics", public=True, unlimited=True, security=[{}], media_type=MediaType.TEXT, sync_to_thread=False)
def metrics() -> bytes:
    """Prometheus metrics of this process."""
    return generate_latest()


def _problem(request: AnyRequest, error: Problem) -> Response[dict[str, Any]]:
    REFUSALS.labels(error.slug).inc()
    headers = error.headers | ({"WWW-Authenticate": "Bearer"} if error.status == 401 else {})
    return Response(error.document(), status_code=error.status, media_type="application/problem+json", headers=headers)


def _validation(request: AnyRequest, error: ValidationException) -> Response[dict[str, Any]]:
    extra = error.extra if isinstance(error.extra, list) else []
    errors = [
        {"field": "/" + str(e.get("key", "")).replace(".", "/"), "message": in_words(str(e.get("message", "")))}
        for e in extra
        if isinstance(e, dict)
    ]
    field = errors[0]["field"] if errors else ""
    detail = "; ".join(f"{e['field']}: {e['message']}" for e in errors) or error.detail
    problem = Problem(
        400,
        "invalid",
        detail,
        field=field,
        errors=errors,
        fix="correct the fields named; /schema/openapi.json has the form",
    )
    return _problem(request, problem)


def _http_error(request: AnyRequest, error: HTTPException) -> Response[dict[str, Any]]:
    slug = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}.get(error.status_code, "refused")
    fix = "send less; files and evidence have routes of their own" if error.status_code == 413 else _LOOK
    return _problem(request, Problem(error.status_code, slug, error.detail, fix=fix))


def _illegal(request: AnyRequest, error: IllegalTransitionError) -> Response[dict[str, Any]]:
    return _problem(
        request, Problem(409, "illegal-transition", str(error), fix="follow one of the allowed transitions")
    )


def _duplicate(request: AnyRequest, error: DuplicateEventError) -> Response[dict[str, Any]]:
    fix = "send the same content again, or a new Idempotency-Key (or CloudEvents id) for new content"
    return _problem(request, Problem(409, "same-id-other-content", str(error), fix=fix))


def _too_large(request: AnyRequest, error: EventTooLargeError) -> Response[dict[str, Any]]:
    return _problem(request, Problem(413, "too-large", str(error)))


def _newer(request: AnyRequest, error: NewerEventTypeError) -> Response[dict[str, Any]]:
    fix = "finish the upgrade: replace this service by the later release"
    return _problem(request, Problem(503, "older-than-the-log", str(error), fix=fix))


def _unfit(request: AnyRequest, error: asyncpg.DataError) -> Response[dict[str, Any]]:
    """The last line of defence: what PostgreSQL cannot hold, such as NUL in a text or a number beyond bigint."""
    log.warning("request held what the database cannot", path=str(request.url.path), reason=repr(error))
    fix = "correct texts with control characters and numbers or times out of range"
    return _problem(request, Problem(400, "invalid", "the request holds a value that cannot be stored", fix=fix))


def _unexpected(request: AnyRequest, error: Exception) -> Response[dict[str, Any]]:
    if isinstance(error, (*TRANSIENT, asyncpg.PostgresConnectionError)):
        problem = _unavailable(error)
        log.warning("request met a missing dependency", reason=repr(error))
    else:
        problem = Problem(500, "internal", "an unexpected error; it is in the service's log", fix="report it")
        log.error("request failed", path=str(request.url.path), exc_info=error)
    return _problem(request, problem)


def _unavailable(error: Exception) -> Problem:
    if isinstance(error, asyncpg.DiskFullError):
        return Problem(
            503, "unavailable", "the database's disk is full, so nothing was recorded",
            fix="have its operator make room; then send the same request again",
        )  # fmt: skip
    return Problem(503, "unavailable", "the database does not answer just now", fix="try again in a second")


_LOOK = "send the request as /schema/openapi.json has it"


class _JsonRequest(AnyRequest):
    """Refuses JSON that Hallmark could not keep, as the caller's mistake."""

    async def json(self) -> Any:
        try:
            value = await super().json()
        except (RecursionError, UnicodeError, SerializationException) as error:
            reason = "is nested too deeply" if isinstance(error, RecursionError) else "is not JSON in UTF-8"
            raise Problem(400, "invalid", f"the body {reason}", fix=_LOOK) from None
        if b"\\u" in await self.body() and not storable(value):
            raise Problem(400, "invalid", "a text in the body holds a NUL or half a surrogate pair", fix="take it out")
        return value


class _BodyInTime:
    """A body that stops coming is not waited for: each part within BODY_SECONDS, and all of an ordinary one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        streamed, due, more = scope["route_handler"].opt.get("streamed"), loop.time() + BODY_SECONDS, True

        async def receive_in_time() -> Any:
            nonlocal due, more
            if not more:
                return await receive()
            try:
                async with asyncio.timeout_at(due):
                    message = await receive()
            except TimeoutError:
                raise _slow() from None
            more = message["type"] == "http.request" and message["more_body"]
            due = loop.time() + BODY_SECONDS if streamed else due
            return message

        await self._app(scope, receive_in_time, send)


def _slow() -> Problem:
    return Problem(
        408, "too-slow", f"the body did not come within {BODY_SECONDS:g} s", fix="send the request again",
        headers={"Connection": "close"},
    )  # fmt: skip


class _Traced:
    """A server span per request, continuing the caller's `traceparent`; without tracing, that `traceparent` alone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._with_span: Any = OpenTelemetryMiddleware(
            app, excluded_urls="health,metrics", server_request_hook=_without_query
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_tracing():
            await self._with_span(scope, receive, send)
        else:  # spans that go nowhere cost a tenth of a small request
            with continued(_header(scope, b"traceparent")):
                await self._app(scope, receive, send)


def _without_query(span: Span, _scope: Any) -> None:
    """A query may hold a token (`/login?token=`) or name a customer, and traces are kept elsewhere."""
    attributes = getattr(span, "attributes", None) or {}
    for name in ("http.url", "http.target", "url.full", "url.query"):
        if value := attributes.get(name):
            span.set_attribute(name, "" if name == "url.query" else str(value).partition("?")[0])


def _header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)
