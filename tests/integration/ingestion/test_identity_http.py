"""Accounts, grants and tokens over HTTP: all of it events, and nobody locked out by accident."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from hallmark_ingestion import bootstrap as ingestion
from hallmark_ledger import bootstrap as ledger
from registry_core.clock import system_clock
from registry_core.http.app import make_app
from registry_core.identity import account_stream
from registry_core.service import Platform
from registry_core.settings import Settings
from support import running, token_of

DIGEST = "sha256:" + "0" * 64
ADMIN = "/v1/accounts/admin"


@dataclass(frozen=True)
class Api:
    """As an administrator; `app` tells what it remembers."""

    client: httpx.AsyncClient
    platform: Platform
    app: Any

    async def create(self, account: str, *roles: str, kind: str = "human") -> None:
        body = {"account": account, "kind": kind, "roles": list(roles)}
        assert (await self.client.post("/v1/accounts", json=body)).status_code == 201

    async def token(self, account: str, **body: Any) -> str:
        answer = await self.client.post(f"/v1/accounts/{account}/tokens", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    async def status(self, token: str, method: str, path: str, **options: Any) -> int:
        headers = {"authorization": f"Bearer {token}"}
        return (await self.client.request(method, path, headers=headers, **options)).status_code

    async def types(self, account: str) -> list[str]:
        stream = account_stream(account)
        events = (await self.platform.store.read_streams([stream]))[stream]
        return [event.type.split(".")[3] for event in events]


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[Api]:
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with running(alone, [ledger.build, ingestion.build]) as (platform, services):
        headers = {"authorization": f"Bearer {await token_of(platform, 'admin', 'admin')}"}
        app = make_app(platform, services)
        transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # both are ASGI
        async with httpx.AsyncClient(transport=transport, base_url="http://hallmark", headers=headers) as client:
            yield Api(client, platform, app)


@pytest.mark.parametrize(("kind", "days"), [("human", 90), ("service", 365)])
async def test_a_token_ends_and_its_issue_says_when(api: Api, kind: str, days: int) -> None:
    await api.create("carl", "viewer", kind=kind)
    before = system_clock()
    issued = (await api.client.post("/v1/accounts/carl/tokens", json={})).json()
    until = datetime.fromisoformat(issued["expires_at"])
    assert before + timedelta(days=days) <= until <= system_clock() + timedelta(days=days)
    listed = (await api.client.get("/v1/accounts/carl")).json()["tokens"]
    assert [datetime.fromisoformat(token["expires_at"]) for token in listed] == [until]


@pytest.mark.parametrize("days", [-1, 0, 366])
async def test_a_token_is_not_good_for_longer_than_the_longest(api: Api, days: int) -> None:
    until = (system_clock() + timedelta(days=days)).isoformat()
    answer = await api.client.post(f"{ADMIN}/tokens", json={"expires_at": until})
    assert (answer.status_code, answer.json()["field"]) == (422, "/expires_at")


async def test_a_narrowed_token_does_what_it_names_and_no_more(api: Api) -> None:
    await api.create("ci", "contributor", kind="service")
    token = await api.token("ci", actions=["register", "read"], assets=["model:own", "model:team-*"])
    own = {"json": {"ref": "model:team-a@1.0.0", "digest": DIGEST}}
    other = {"json": {"ref": "model:other@1.0.0", "digest": DIGEST}}
    assert await api.status(token, "POST", "/v1/versions", **own) == 201
    assert await api.status(token, "POST", "/v1/versions", **other) == 403
    assert await api.status(token, "PATCH", "/v1/versions/model:team-a@1.0.0/metadata", json={"owner": "ci"}) == 403
    assert await api.status(token, "GET", "/v1/versions/model:team-a@1.0.0") == 200
    assert await api.status(token, "GET", "/v1/versions/model:other@1.0.0") == 403
    told = (await api.client.get("/v1/whoami", headers={"authorization": f"Bearer {token}"})).json()
    assert (told["actions"], told["assets"]) == (["read", "register"], ["model:own", "model:team-*"])


@pytest.mark.parametrize(
    "body", [{"actions": ["fly"]}, {"actions": []}, {"assets": ["*"]}, {"assets": []}, {"assets": ["model:a@1.0.0"]}]
)
async def test_a_token_is_narrowed_to_what_there_is(api: Api, body: dict[str, Any]) -> None:
    answer = await api.client.post(f"{ADMIN}/tokens", json=body)
    assert answer.status_code == 400
    assert answer.json()["field"].startswith(f"/{next(iter(body))}")


async def test_a_token_for_reading_speaks_for_no_reviewer(api: Api) -> None:
    await api.create("rita", "reviewer:security")
    reading, whole = await api.token("rita", actions=["read"]), await api.token("rita")
    key = {"json": {"public_key": "0" * 43 + "=", "purpose": "review"}}
    assert await api.status(reading, "POST", "/v1/accounts/rita/signing-keys", **key) == 403
    assert await api.status(whole, "POST", "/v1/accounts/rita/signing-keys", **key) == 201


async def test_a_grant_counts_on_its_assets_from_the_next_request_until_it_is_withdrawn(api: Api) -> None:
    await api.create("carl")
    token = await api.token("carl")
    grant = {"role": "contributor", "assets": "model:own"}
    body = {"json": {"ref": "model:own@1.0.0", "digest": DIGEST}}
    assert await api.status(token, "POST", "/v1/versions", **body) == 403
    for _ in range(2):  # again it is nothing new
        assert (await api.client.post("/v1/accounts/carl/grants", json=grant)).status_code == 200
    assert await api.status(token, "POST", "/v1/versions", **body) == 201
    assert (await api.client.get("/v1/accounts/carl")).json()["grants"] == [grant]
    assert (await api.client.delete("/v1/accounts/carl/grants", params=grant)).status_code == 200
    assert await api.status(token, "GET", "/v1/versions/model:own@1.0.0") == 403
    created = ["account-created", "roles-changed", "token-issued"]
    assert await api.types("carl") == [*created, "role-granted", "role-withdrawn"]


async def test_administrators_are_so_everywhere_or_not_at_all(api: Api) -> None:
    await api.create("carl")
    answer = await api.client.post("/v1/accounts/carl/grants", json={"role": "admin", "assets": "model:own"})
    assert (answer.status_code, answer.json()["field"]) == (400, "/role")
    assert answer.json()["detail"] == "/role: write viewer, contributor, reviewer:<role>, manager or auditor"


async def test_a_manager_of_one_asset_writes_to_it_and_to_no_other(api: Api) -> None:
    for asset in ("own", "other"):
        body = {"ref": f"model:{asset}@1.0.0", "digest": DIGEST}
        assert (await api.client.post("/v1/versions", json=body)).status_code == 201
    await api.create("mia", "contributor")
    await api.client.post("/v1/accounts/mia/grants", json={"role": "manager", "assets": "model:own"})
    token = await api.token("mia")
    assert await api.status(token, "PATCH", "/v1/versions/model:own@1.0.0/metadata", json={"owner": "mia"}) == 200
    assert await api.status(token, "PATCH", "/v1/versions/model:other@1.0.0/metadata", json={"owner": "mia"}) == 403


async def test_a_closed_account_is_shut_at_once_and_its_tokens_are_gone_for_good(api: Api) -> None:
    await api.create("carl", "viewer")
    tokens = [await api.token("carl"), await api.token("carl")]
    assert [await api.status(token, "GET", "/v1/whoami") for token in tokens] == [200, 200]
    closed = await api.client.post("/v1/accounts/carl/close", json={"reason": "left"})
    assert closed.status_code == 200
    assert [await api.status(token, "GET", "/v1/whoami") for token in tokens] == [401, 401]
    assert (await api.client.post("/v1/accounts/carl/tokens", json={})).status_code == 409
    assert (await api.client.post("/v1/accounts/carl/reopen", json={"reason": "back"})).status_code == 200
    assert [await api.status(token, "GET", "/v1/whoami") for token in tokens] == [401, 401]
    assert await api.status(await api.token("carl"), "GET", "/v1/whoami") == 200


async def test_an_administrator_cannot_lock_everybody_out(api: Api) -> None:
    """Whoever changes accounts is an administrator, and stays one: somebody else has to take that away."""
    answers = [
        await api.client.put(f"{ADMIN}/roles", json={"roles": ["viewer"]}),
        await api.client.post(f"{ADMIN}/close", json={"reason": "oops"}),
    ]
    assert [(answer.status_code, "another administrator" in answer.json()["fix"]) for answer in answers] == [
        (403, True)
    ] * 2
    assert (await api.client.put(f"{ADMIN}/roles", json={"roles": ["viewer", "admin"]})).status_code == 200
    await api.create("second", "admin")
    token = await api.token("second")
    assert await api.status(token, "PUT", f"{ADMIN}/roles", json={"roles": ["viewer"]}) == 200
    assert (await api.client.get("/v1/accounts/second")).status_code == 403


async def test_a_service_account_is_given_no_role_or_key_for_reviews(api: Api) -> None:
    body = {"account": "bot", "kind": "service", "roles": ["reviewer:security"]}
    assert (await api.client.post("/v1/accounts", json=body)).status_code == 422
    await api.create("bot", "contributor", kind="service")
    token = await api.token("bot")
    roles = {"json": {"roles": ["reviewer:security"]}}
    key = {"json": {"public_key": "0" * 43 + "=", "purpose": "review"}}
    assert (await api.client.put("/v1/accounts/bot/roles", **roles)).status_code == 422
    grant = {"role": "reviewer:security", "assets": "model:own"}
    assert (await api.client.post("/v1/accounts/bot/grants", json=grant)).status_code == 422
    assert await api.status(token, "POST", "/v1/accounts/bot/signing-keys", **key) == 422


async def test_the_last_use_is_told_and_what_nobody_uses_is_found(api: Api) -> None:
    await api.create("carl", "viewer")
    used, unused = await api.token("carl", label="laptop"), await api.token("carl", label="forgotten")
    before = system_clock()
    assert await api.status(used, "GET", "/v1/whoami") == 200
    await api.app.state.last_use.write()
    listed = {t["label"]: t for t in (await api.client.get("/v1/accounts/carl")).json()["tokens"]}
    assert before <= datetime.fromisoformat(listed["laptop"]["last_used_at"]) <= system_clock()
    assert listed["forgotten"]["last_used_at"] is None
    assert used not in str(listed)
    assert unused not in str(listed)

    async def labels(**params: int) -> set[str]:
        tokens = (await api.client.get("/v1/tokens", params=params)).json()["tokens"]
        return {token["label"] for token in tokens if token["account"] == "carl"}

    assert await labels() == {"laptop", "forgotten"}
    assert await labels(unused_days=1) == set()
    moved = "update work.token_use set used_at = used_at - interval '40 days'"
    await api.platform.pool.execute(moved)
    assert await labels(unused_days=30) == {"laptop"}  # the other was issued a moment ago


async def test_a_use_costs_no_write_and_many_are_one(api: Api) -> None:
    await api.create("carl", "viewer")
    token = await api.token("carl")
    for _ in range(5):
        await api.status(token, "GET", "/v1/whoami")
    assert await api.platform.pool.fetchval("select count(*) from work.token_use where account = 'carl'") == 0
    await api.app.state.last_use.write()
    assert await api.platform.pool.fetchval("select count(*) from work.token_use where account = 'carl'") == 1
