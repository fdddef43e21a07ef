"""Every route of every service: closed to nobody in particular, open to nobody by accident."""

from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar
from registry_core.events.governance import RolesChanged, TokenRevoked
from registry_core.http.app import make_app
from registry_core.http.caller import COOKIE
from registry_core.identity import ACTIONS, account_stream
from registry_core.service import ALL, find_services
from registry_core.settings import Settings
from registry_core.store import ANY, Append
from support import http, new, running, token_of

PUBLIC = {
    "/health/live",
    "/health/ready",
    "/metrics",
    "/v1/log/key",
    "/v1/decision-key",
    "/login",
    "/login/callback",
    "/login/oidc",
    "/logout",
    "/v1/sessions",
    "/v1/sessions/current",
    "/v1/sign-in",
    "/static/{name:str}",
    "/v1/sources/{name:str}/deliveries",
}
"""What needs no token: health, metrics (of a port that is not published), public keys, the way in, and what sources
send, each under its own proof."""
FOREIGN = (403, "urn:hallmark:problem:foreign-origin")
ROLES = ("viewer", "contributor", "reviewer:security", "manager", "admin", "auditor", "nothing")


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[Litestar]:
    async with running(settings.model_copy(update={"kafka_bootstrap": ""}), find_services(ALL)) as (platform, services):
        yield make_app(platform, services)


def handlers(app: Litestar) -> list[tuple[str, str, dict[str, object]]]:
    found = []
    for route in app.routes:
        for handler in getattr(route, "route_handlers", []):
            if not route.path.startswith("/schema"):
                found += [
                    (method, route.path, dict(handler.opt)) for method in handler.http_methods if method != "OPTIONS"
                ]
    return found


async def test_every_route_names_its_action_or_is_on_the_public_list(app: Litestar) -> None:
    for method, path, opt in handlers(app):
        if opt.get("public"):
            assert path in PUBLIC, f"{method} {path} is public and not on the list"
        else:
            assert opt.get("action") in ACTIONS, f"{method} {path} names no known action"


async def test_each_role_reaches_just_the_routes_of_its_actions(settings: Settings) -> None:
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with running(alone, find_services(ALL)) as (platform, services):
        routes = handlers(make_app(platform, services))
        for number, role in enumerate(ROLES):
            token = await token_of(platform, f"someone{number}", *([role] if role != "nothing" else []))
            async with http(platform, services, token) as client:
                for method, path, opt in routes:
                    if opt.get("public") or path.endswith("/live"):
                        continue
                    allowed = role.split(":")[0] in ACTIONS[str(opt["action"])]
                    status = (await client.request(method, _filled(path))).status_code
                    assert (status != 403) if allowed else (status in (302, 303, 403)), (role, method, path, status)


def _filled(path: str) -> str:
    names = {"ref:str": "model:m@1.0.0", "letter:int": "1", "name:path": "f"}
    parts = [names.get(p.strip("{}"), "x") if p.startswith("{") else p for p in path.split("/")]
    return "/".join(parts)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [("http://hallmark", True), ("http://hallmark:9999", False), ("https://evil.example", False), ("null", False)],
)
async def test_a_cookie_writes_only_from_the_site_s_own_pages(settings: Settings, origin: str, allowed: bool) -> None:
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    body = {"ref": "model:m@1.0.0", "digest": "sha256:" + "0" * 64}
    async with running(alone, find_services(["ledger", "ingestion"])) as (platform, services):
        token = await token_of(platform, "dana", "contributor")
        async with http(platform, services) as client:
            cookie = {"origin": origin, "cookie": f"{COOKIE}={token}"}
            answer = await client.post("/v1/versions", json=body, headers=cookie)
            bearer = {"origin": origin, "authorization": f"Bearer {token}"}
            assert (await client.get("/v1/whoami", headers=cookie)).status_code == 200
            assert (await client.post("/v1/versions", json=body, headers=bearer)).is_success
    assert answer.is_success if allowed else (answer.status_code, answer.json()["type"]) == FOREIGN


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer x", "Basic abc", "Bearer hmk_admin_00000000_" + "0" * 64, "Bearer " + "x" * 5000],
)
async def test_no_wrong_token_opens_anything(settings: Settings, authorization: str) -> None:
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with running(alone, find_services(["ingestion"])) as (platform, services), http(platform, services) as client:
        answer: httpx.Response = await client.get("/v1/whoami", headers={"Authorization": authorization})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert "hallmark token issue" in answer.json()["fix"]


async def test_a_revoked_token_and_a_lost_role_count_from_the_next_request(settings: Settings) -> None:
    """Revoked by another process, of which this one hears nothing but what its database says."""
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with running(alone, find_services(["ingestion"])) as (platform, services):
        token = await token_of(platform, "ci", "contributor", "admin")
        stream = account_stream("ci")
        async with http(platform, services, token) as client:

            async def status(path: str) -> int:
                return (await client.get(path)).status_code

            assert (await status("/v1/whoami"), await status("/v1/accounts/ci")) == (200, 200)
            await platform.store.append(Append(stream, [new(RolesChanged(account="ci", roles=("contributor",)))], ANY))
            assert (await status("/v1/whoami"), await status("/v1/accounts/ci")) == (200, 403)
            revoked = TokenRevoked(account="ci", token_id=token.split("_")[2])
            await platform.store.append(Append(stream, [new(revoked)], ANY))
            assert await status("/v1/whoami") == 401
