"""The headers of OWASP's list, on every page and every other answer."""

import re
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest
from litestar import Litestar
from registry_core.http.app import make_app
from registry_core.service import ALL, find_services
from registry_core.settings import Settings
from support import running, token_of
from support_authorisation import specification

ALWAYS: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-permitted-cross-domain-policies": "none",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
NEVER: Final = ("server", "x-powered-by")
STOPPED: Final = re.compile(r"<style|<script(?![^>]*\bsrc=\"/static/)|\sstyle=|\son\w+=|(src|href)=\"(https?:)?//")
LIVE: Final = "/v1/views/{view}/live"


@pytest.fixture
async def everything(settings: Settings) -> AsyncIterator[tuple[Litestar, str]]:
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with running(alone, find_services(ALL)) as (platform, services):
        yield make_app(platform, services), await token_of(platform, "all", "viewer", "manager", "admin", "auditor")


def client(app: Any, base: str = "http://hallmark") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=base)


def policy(answer: httpx.Response) -> dict[str, str]:
    directives = answer.headers["content-security-policy"].split("; ")
    return {name: value for name, _, value in (directive.partition(" ") for directive in directives)}


async def test_every_answer_of_every_route_has_them(everything: tuple[Litestar, str]) -> None:
    """With a token and without, as a page and as a problem; also where there is no route."""
    app, token = everything
    routes = [route for route in specification().routes if route.path != LIVE]
    paths = [(route.method, re.sub(r"\{\w+\}", "x", route.path)) for route in routes]
    async with client(app) as http:
        for method, path in [*paths, ("GET", "/nowhere"), ("DELETE", "/"), ("GET", "/versions/model:m@1.0.0")]:
            for headers in ({}, {"authorization": f"Bearer {token}"}):
                answer = await http.request(method, path, headers=headers)
                told = (method, path, answer.status_code, dict(answer.headers))
                assert ALWAYS.items() <= dict(answer.headers).items(), told
                assert not set(NEVER) & set(answer.headers), told
                assert "unsafe" not in answer.headers["content-security-policy"]
                assert answer.headers["cache-control"], told
                assert "strict-transport-security" not in answer.headers


async def test_nothing_but_the_site_s_own_files_is_loaded_run_framed_or_sent_to(
    everything: tuple[Litestar, str],
) -> None:
    app, token = everything
    async with client(app) as http:
        for path in ("/", "/reviews", "/findings", "/login", "/versions/model:m@1.0.0", "/nowhere"):
            found = policy(await http.get(path, headers={"authorization": f"Bearer {token}"}))
            assert found["default-src"] == found["base-uri"] == found["frame-ancestors"] == "'none'"
            for directive in ("script-src", "style-src", "connect-src"):
                assert found[directive] == "'self'"


async def test_no_page_has_what_the_policy_would_stop(everything: tuple[Litestar, str]) -> None:
    """Inline script or style, a handler in an attribute, a file from elsewhere."""
    app, token = everything
    async with client(app) as http:
        for path in ("/", "/reviews", "/findings", "/login", "/versions/model:m@1.0.0"):
            text = (await http.get(path, headers={"authorization": f"Bearer {token}"})).text
            assert "<html" in text
            assert not STOPPED.search(text)


async def test_what_is_private_is_kept_by_nobody_and_what_is_not_may_be(everything: tuple[Litestar, str]) -> None:
    app, token = everything
    async with client(app) as http:
        for path in ("/", "/login", "/v1/whoami", "/v1/views/findings", "/v1/accounts/all", "/v1/log/events"):
            answer = await http.get(path, headers={"authorization": f"Bearer {token}"})
            assert answer.headers["cache-control"] == "no-store", path
        style = re.search(r'href="(/static/console\.\w+\.css)"', (await http.get("/login")).text)
        assert style
        assert "immutable" in (await http.get(style[1])).headers["cache-control"]


async def test_over_https_browsers_are_told_to_stay_there(everything: tuple[Litestar, str]) -> None:
    async with client(everything[0], "https://hallmark") as http:
        answer = await http.get("/login")
    assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


async def test_the_reference_of_the_api_loads_its_viewer_and_has_the_others(everything: tuple[Litestar, str]) -> None:
    async with client(everything[0]) as http:
        answer = await http.get("/schema/scalar")
    assert answer.status_code == 200
    assert ALWAYS.items() <= dict(answer.headers).items()
    assert "content-security-policy" not in answer.headers
