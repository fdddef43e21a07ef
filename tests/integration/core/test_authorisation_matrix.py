"""Every role, about an own and another asset, at every route of every service: as docs/authorisation.md says."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pytest
from httpx import ASGITransport, AsyncClient, Request, Response
from litestar import Litestar
from registry_core.access import ACTIONS
from registry_core.events import Event
from registry_core.events.governance import AccountCreated, RoleGranted, RolesChanged, TokenIssued
from registry_core.events.promotions import PromotionRequested
from registry_core.http.app import make_app
from registry_core.identity import account_stream, new_token
from registry_core.messaging.transport import InboundRecord
from registry_core.service import ALL, Platform, Service, find_services
from registry_core.settings import Settings
from registry_core.store import ANY, Append
from registry_core.values import UseContext, promotion_stream
from support import new, running
from support_authorisation import Route, specification
from support_portfolio import digest, registered

SPECIFICATION: Final = specification()
ROLES: Final = ("viewer", "contributor", "reviewer", "manager", "admin", "auditor")
OWN, OTHER = "model:own", "model:other"
_FILLED: Final = {"view": "findings", "letter": "1", "name": "f"}


@dataclass(frozen=True, slots=True)
class Everything:
    platform: Platform
    services: Sequence[Service]
    app: Litestar


@pytest.fixture
async def everything(settings: Settings) -> AsyncIterator[Everything]:
    """All services in one application, with a version and a promotion of each asset.

    The accounts answer for both: who is refused is so for want of a role.
    """
    alone = settings.model_copy(update={"kafka_bootstrap": "", "rate_account": 0, "rate_failures": 0})
    async with running(alone, find_services(ALL)) as (platform, services):
        for asset in (OWN, OTHER):
            version = registered(f"{asset}@1.0.0", owner="one", backup_owner="some")
            await append(platform, f"{asset}@1.0.0", version.model_copy(update={"registered_by": "all"}))
            await append(platform, promotion_stream(name_of(asset)), requested(asset))
        yield Everything(platform, services, make_app(platform, services))


def name_of(asset: str) -> str:
    return asset.partition(":")[2]


def requested(asset: str) -> PromotionRequested:
    return PromotionRequested(
        promotion=name_of(asset), ref=f"{asset}@1.0.0", digest=digest(f"{asset}@1.0.0"), requested_by="ci",
        context=UseContext(business_function="lending"), environment="production", expedite=False,
    )  # fmt: skip


async def append(platform: Platform, stream: str, *events: Event) -> None:
    await platform.store.append(Append(stream, [new(event) for event in events], ANY))


async def account(platform: Platform, name: str, *events: Event, kind: Any = "human", **narrowed: Any) -> str:
    """An account with these events; a token of it."""
    token, issued = new_token(name, **narrowed)
    await append(platform, account_stream(name), AccountCreated(account=name, kind=kind, person=name), *events, issued)
    return token


def everywhere(name: str, role: str) -> RolesChanged:
    return RolesChanged(account=name, roles=(full(role),))


def on_own(name: str, role: str, assets: str = OWN) -> RoleGranted:
    return RoleGranted(account=name, role=full(role), assets=assets)


def full(role: str) -> str:
    return "reviewer:security" if role == "reviewer" else role


def routes_of(app: Litestar) -> set[tuple[str, str]]:
    return {
        (method, re.sub(r":\w+\}", "}", route.path))
        for route in app.routes
        for handler in getattr(route, "route_handlers", [])
        for method in handler.http_methods
        if method != "OPTIONS" and not route.path.startswith("/schema")
    }


@dataclass(frozen=True, slots=True)
class Asked:
    """One request about one asset."""

    route: Route
    asset: str

    @property
    def path(self) -> str:
        names = {**_FILLED, "ref": f"{self.asset}@1.0.0", "asset": self.asset, "promotion": name_of(self.asset)}
        return re.sub(r"\{(\w+)\}", lambda found: names.get(found[1], "x"), self.route.path)

    @property
    def options(self) -> dict[str, Any]:
        """What else it takes for the request to name its asset."""
        ref = f"{self.asset}@1.0.0"
        match (self.route.method, self.route.path):
            case ("GET", "/v1/admission"):
                return {"params": {"ref": ref, "environment": "e", "business_function": "f"}}
            case ("POST", "/v1/versions"):
                return {"json": {"ref": f"{self.asset}@2.0.0", "digest": "sha256:" + "0" * 64}}
            case ("POST", "/v1/promotions"):
                return {"json": {"ref": ref, "context": {"business_function": "lending"}}}
            case ("POST", "/v1/imports"):
                return {"json": {"ref": ref, "url": "nowhere"}}
            case ("POST", "/v1/events"):
                return {"content": cloud_event(self.asset), "headers": STRUCTURED}
            case ("GET", "/v1/served"):
                return {"params": {"customer": "c", "at": "2026-03-01T12:00:00Z"}}
            case _:
                return {}


STRUCTURED: Final = {"content-type": "application/cloudevents+json"}


def cloud_event(asset: str, number: int = 1) -> bytes:
    data = {"ref": f"{asset}@3.0.{number}", "digest": "sha256:" + "0" * 64}
    event = {"specversion": "1.0", "id": f"{asset}{number}", "source": "/ci", "type": "io.hallmark.register-version.v1"}
    return json.dumps({**event, "data": data}).encode()


async def outcome(app: Litestar, token: str, asked: Asked) -> str:
    """`refused` for want of a role, `unknown` where nobody knows who calls, else `through`."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    if asked.route.path.endswith("/live"):
        return await _opened(app, token, asked.path)
    options = {**asked.options}
    headers |= options.pop("headers", {})
    request = Request(asked.route.method, f"http://hallmark{asked.path}", headers=headers, **options)
    answer = await ASGITransport(app=app).handle_async_request(request)  # type: ignore[arg-type]  # both are ASGI
    await answer.aread()
    return _told(asked, answer)


def _told(asked: Asked, answer: Response) -> str:
    assert answer.status_code < 500, (asked, answer.text)
    if answer.status_code == 401 or answer.headers.get("location", "").startswith("/login"):
        return "unknown"
    if answer.status_code != 403:
        return "through"
    page = not asked.path.startswith("/v1/") or asked.route.method == "HEAD"
    return (
        "refused" if page or "action" in answer.json() else "through"
    )  # to be refused four eyes, one has to get through


async def _opened(app: Litestar, token: str, path: str) -> str:
    """Of a stream that never ends, which httpx would wait for."""
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start" and not started.done():
            started.set_result(message["status"])

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False} if not started.done() else await never.wait()

    never = asyncio.Event()
    headers = [(b"host", b"hallmark")] + ([(b"authorization", f"Bearer {token}".encode())] if token else [])
    scope: Any = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("hallmark", 80),
    }  # fmt: skip
    serving = asyncio.create_task(app(scope, receive, send))
    try:
        status = await asyncio.wait_for(asyncio.shield(started), 20)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    return {200: "through", 401: "unknown", 403: "refused"}[status]


def test_the_tables_name_every_action_and_role_there_is() -> None:
    assert {action: set(roles) for action, roles in SPECIFICATION.roles.items()} == {
        a: set(r) for a, r in ACTIONS.items()
    }
    assert set().union(*SPECIFICATION.roles.values()) == set(ROLES)


async def test_every_route_and_topic_is_in_the_tables_and_nothing_else(everything: Everything) -> None:
    listed = {(route.method, route.path) for route in SPECIFICATION.routes}
    assert len(listed) == len(SPECIFICATION.routes)
    assert routes_of(everything.app) == listed, "docs/authorisation.md has to name each route once"
    assert {topic for service in everything.services for topic in service.inbound} == set(SPECIFICATION.topics)


CLOSED: Final = [route for route in SPECIFICATION.routes if route.on != "public"]


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_gets_through_just_where_the_tables_say(everything: Everything, role: str) -> None:
    """Held everywhere, granted on the asset itself, and granted on a pattern."""
    app, platform = everything.app, everything.platform
    holders = {
        (True, await account(platform, "all", everywhere("all", role))),
        (False, await account(platform, "one", on_own("one", role))),
        (False, await account(platform, "some", on_own("some", role, "model:ow*"))),
    }
    for is_everywhere, token in holders:
        for asked in [Asked(route, asset) for route in CLOSED for asset in (OWN, OTHER)]:
            allowed = SPECIFICATION.allows(asked.route, role, everywhere=is_everywhere, own=asked.asset == OWN)
            if asked.route.on == "each asset":  # this one names a single asset
                allowed = role in SPECIFICATION.roles[asked.route.action] and (is_everywhere or asked.asset == OWN)
            expected = "through" if allowed else "refused"
            assert await outcome(app, token, asked) == expected, (role, is_everywhere, asked)


async def test_nobody_in_particular_gets_through_nowhere(everything: Everything) -> None:
    without_roles = await account(everything.platform, "someone")
    for asked in [Asked(route, OWN) for route in CLOSED]:
        assert await outcome(everything.app, "", asked) == "unknown", asked
        assert await outcome(everything.app, without_roles, asked) == "refused", asked


async def test_what_is_public_asks_for_no_token(everything: Everything) -> None:
    for route in SPECIFICATION.routes:
        if route.on == "public" and route.path != "/login":
            assert await outcome(everything.app, "", Asked(route, OWN)) in ("through", "unknown"), route
    public = {route.path for route in SPECIFICATION.routes if route.on == "public"}
    assert public == {
        "/health/live", "/health/ready", "/metrics", "/v1/log/key", "/v1/decision-key", "/login", "/login/oidc",
        "/login/callback", "/logout", "/v1/sign-in", "/v1/sessions", "/v1/sessions/current", "/static/{name}",
        "/v1/sources/{name}/deliveries",
    }  # fmt: skip


async def test_a_token_narrowed_to_an_action_and_an_asset_does_that_alone(everything: Everything) -> None:
    """Of an account that may do all that contributors may, everywhere."""
    roles = RolesChanged(account="ci", roles=("contributor", "viewer"))
    token = await account(everything.platform, "ci", roles, kind="service", actions=("register", "read"), assets=(OWN,))
    for asked in [Asked(route, asset) for route in CLOSED for asset in (OWN, OTHER)]:
        own = asked.route.on in {"its asset", "each asset"}
        allowed = asked.route.action in ("register", "read") and (
            asked.route.on in ("readable", "nothing") or (own and asked.asset == OWN)
        )
        assert (await outcome(everything.app, token, asked) == "through") is allowed, asked


@pytest.mark.parametrize("action", ["review", "except:grant"])
async def test_a_service_account_never_decides_whatever_its_roles(everything: Everything, action: str) -> None:
    roles = RolesChanged(account="robot", roles=("reviewer:security", "manager", "admin"))
    token = await account(everything.platform, "robot", roles, on_own("robot", "reviewer"), kind="service")
    routes = [route for route in CLOSED if route.action == action]
    assert routes
    for route in routes:
        assert await outcome(everything.app, token, Asked(route, OWN)) == "refused"


async def test_in_a_batch_each_event_is_judged_by_its_own_asset(everything: Everything) -> None:
    token = await account(everything.platform, "ci", on_own("ci", "contributor"))
    batch = b"[" + b",".join((cloud_event(OWN, 5), cloud_event(OTHER, 5))) + b"]"
    headers = {"authorization": f"Bearer {token}", "content-type": "application/cloudevents-batch+json"}
    async with AsyncClient(transport=ASGITransport(app=everything.app), base_url="http://hallmark") as http:  # type: ignore[arg-type]  # both are ASGI
        answer = await http.post("/v1/events", content=batch, headers=headers)
    assert [outcome["status"] for outcome in answer.json()] == [202, 403]
    assert (await everything.platform.store.read_streams([f"{OTHER}@3.0.5"]))[f"{OTHER}@3.0.5"] == []


async def test_a_request_that_names_no_asset_needs_the_role_everywhere(everything: Everything) -> None:
    """A body without `ref`, one that is no JSON, a promotion that nobody requested, a reference that is none."""
    token = await account(everything.platform, "ci", on_own("ci", "contributor"), on_own("ci", "manager"))
    headers = {"authorization": f"Bearer {token}"}
    async with AsyncClient(
        transport=ASGITransport(app=everything.app), base_url="http://hallmark", headers=headers
    ) as http:  # type: ignore[arg-type]  # both are ASGI
        answers = [
            await http.post("/v1/versions", json={"digest": "sha256:" + "0" * 64}),
            await http.post("/v1/versions", json=[OWN]),
            await http.post("/v1/versions", json={"ref": [f"{OWN}@1.0.0"]}),
            await http.get("/v1/promotions/unknown"),
            await http.get("/v1/versions/own"),
            await http.get("/v1/admission", params={"environment": "e", "business_function": "f"}),
        ]
    assert [(answer.status_code, answer.json()["type"]) for answer in answers] == [
        (403, "urn:hallmark:problem:forbidden")
    ] * len(answers)


async def test_what_comes_over_a_topic_does_just_what_the_table_says(everything: Everything) -> None:
    """The topic's account has no token, and what it sends registers a version or is set aside."""

    (service,) = [service for service in everything.services if service.name == "ingestion"]
    assert SPECIFICATION.topics["mlops.events"] == ("kafka:mlops", "register")
    before = await everything.platform.store.read_log(0, 1000)
    assert not [event for event in before if event.actor == "kafka:mlops"]
    record = InboundRecord("mlops.events", 0, "0", None, {}, cloud_event(OTHER, 9))
    assert list(await service.inbound["mlops.events"]([record])) == []
    events = (await everything.platform.store.read_streams([f"{OTHER}@3.0.9"]))[f"{OTHER}@3.0.9"]
    assert [(event.type, event.actor) for event in events] == [("io.hallmark.version.registered.v1", "kafka:mlops")]
    assert await everything.platform.store.read_streams([account_stream("kafka:mlops")]) == {
        account_stream("kafka:mlops"): []
    }


def test_the_events_that_make_a_token_are_of_the_version_that_knows_scopes() -> None:
    """A release from before scopes must not take a narrowed token for a whole one: it cannot read the event."""
    _, issued = new_token("ci", actions=("read",))
    assert issued.type == TokenIssued.type == "io.hallmark.identity.token-issued.v2"
