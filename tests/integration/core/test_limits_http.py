"""Limits over HTTP: an account's, a stranger's, and that of tokens which open nothing."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
from registry_core.events.governance import TokenRevoked
from registry_core.http.app import make_app
from registry_core.identity import account_stream
from registry_core.service import Platform, find_services
from registry_core.settings import Settings
from registry_core.store import ANY, Append
from support import new, running, token_of
from support_inbox import Inbox
from support_sources import sent_by

Connect = Callable[..., AbstractAsyncContextManager[tuple[Platform, Callable[..., httpx.AsyncClient]]]]
WRONG = "hmk_admin_00000000_" + "0" * 64


@pytest.fixture
def connect(settings: Settings) -> Connect:
    @asynccontextmanager
    async def connected(*services: str, **limits: float) -> AsyncIterator[Any]:
        """The platform, and clients by token and address."""
        alone = settings.model_copy(update={"kafka_bootstrap": "", **limits})
        async with running(alone, find_services(services or ("ingestion",))) as (platform, built):
            app = make_app(platform, built)

            def client(token: str = "", address: str = "192.0.2.1") -> httpx.AsyncClient:
                headers = {"authorization": f"Bearer {token}"} if token else {}
                transport = httpx.ASGITransport(app=app, client=(address, 1))  # type: ignore[arg-type]  # both are ASGI
                return httpx.AsyncClient(transport=transport, base_url="http://hallmark", headers=headers)

            yield platform, client

    return connected


async def statuses(client: httpx.AsyncClient, count: int, path: str = "/v1/whoami") -> list[int]:
    return [(await client.get(path)).status_code for _ in range(count)]


async def test_an_account_s_requests_are_counted_whatever_its_token(connect: Connect) -> None:
    async with connect(rate_account=0.3) as (platform, client):
        tokens = [await token_of(platform, "ci", "viewer") for _ in range(2)]
        other = await token_of(platform, "other", "viewer")
        assert await statuses(client(tokens[0]), 2) + await statuses(client(tokens[1]), 2) == [200, 200, 200, 429]
        answer = await client(tokens[0], "192.0.2.9").get("/v1/whoami")
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 4
        assert answer.headers["ratelimit-policy"] == '"account";q=3;w=10'
        assert answer.headers["ratelimit"].startswith('"account";r=0;t=')
        assert answer.json()["type"] == "urn:hallmark:problem:too-many-requests"
        assert await statuses(client(other), 1) == [200]


async def test_an_answer_tells_what_is_left(connect: Connect) -> None:
    async with connect() as (platform, client):
        answer = await client(await token_of(platform, "ci", "viewer")).get("/v1/whoami")
        assert answer.headers["ratelimit-policy"] == '"account";q=2000;w=10'
        assert answer.headers["ratelimit"] == '"account";r=1999;t=1'


async def test_strangers_are_counted_by_address_and_probes_are_not(connect: Connect) -> None:
    async with connect("approval", rate_address=0.2) as (_, client):
        assert await statuses(client(), 3, "/v1/decision-key") == [200, 200, 429]
        assert await statuses(client(), 1, "/v1/policies/baseline") == [429]
        assert await statuses(client(address="192.0.2.2"), 1, "/v1/decision-key") == [200]
        assert await statuses(client(), 5, "/health/live") == [200] * 5


async def test_a_sender_who_proved_nothing_is_a_stranger_whatever_name_it_makes_up(connect: Connect) -> None:
    async with connect("ledger", "ingestion", rate_address=0.3) as (platform, client):
        root = client(await token_of(platform, "root", "admin"))
        door = Inbox(root, client(), platform, [])
        await door.connect("github")
        elsewhere = Inbox(root, client(address="192.0.2.2"), platform, [])
        sample = sent_by("github")
        proven = [(await elsewhere.send("github", sample)).status_code for _ in range(6)]
        assert proven == [202, *[200] * 5]
        made_up = [(await door.send(f"name-{n}", sample)).status_code for n in range(4)]
        assert made_up == [401, 401, 401, 429]
        assert (await elsewhere.send("github", sample)).status_code == 200


async def test_an_ipv4_address_in_the_form_of_ipv6_is_one_address(connect: Connect) -> None:
    async with connect("approval", rate_address=0.2) as (_, client):
        path = "/v1/decision-key"
        assert await statuses(client(address="::ffff:192.0.2.1"), 3, path) == [200, 200, 429]
        assert await statuses(client(address="192.0.2.1"), 1, path) == [429]
        assert await statuses(client(address="::ffff:192.0.2.2"), 1, path) == [200]


async def test_an_ipv6_customer_has_one_bucket_for_all_their_addresses(connect: Connect) -> None:
    async with connect("approval", rate_address=0.2) as (_, client):
        path = "/v1/decision-key"
        assert await statuses(client(address="2001:db8::1"), 2, path) == [200, 200]
        assert await statuses(client(address="2001:db8::2:ffff"), 1, path) == [429]
        assert await statuses(client(address="2001:db8:0:1::1"), 1, path) == [200]


async def test_tokens_that_open_nothing_are_refused_before_the_database_is_asked(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever came in from there before goes on; so does everybody elsewhere."""
    async with connect(rate_failures=0.3) as (platform, client):
        known, unknown = [await token_of(platform, name, "viewer") for name in ("known", "late")]
        assert await statuses(client(known), 1) == [200]
        assert await statuses(client(WRONG), 4) == [401, 401, 401, 429]
        assert await statuses(client(known), 1) == [200]
        assert await statuses(client(unknown, "192.0.2.9"), 1) == [200]

        async def fetch(*_: object, **__: object) -> object:
            raise AssertionError("asked")

        monkeypatch.setattr(type(platform.pool), "fetch", fetch)
        assert await statuses(client(WRONG[:-1] + "1"), 1) == [429]


async def test_a_revoked_token_is_no_longer_one_that_came_in_before(connect: Connect) -> None:
    async with connect(rate_failures=0.1) as (platform, client):
        token = await token_of(platform, "ci", "viewer")
        assert await statuses(client(token), 1) == [200]
        revoked = TokenRevoked(account="ci", token_id=token.split("_")[2])
        await platform.store.append(Append(account_stream("ci"), [new(revoked)], ANY))
        assert await statuses(client(token), 3) == [401, 429, 429]


async def test_signing_in_with_wrong_tokens_is_slowed_down_too(connect: Connect) -> None:
    async with connect("console", rate_failures=0.2) as (_, client):
        answers = [await client().post("/login", data={"token": WRONG}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [401, 401, 429]
