"""Who calls: tokens, cookies, and what changes about them. Who may do what: test_authorisation_matrix.py."""

import httpx
import pytest
from registry_core.events.governance import RolesChanged, TokenRevoked
from registry_core.http.caller import COOKIE
from registry_core.identity import account_stream
from registry_core.service import find_services
from registry_core.settings import Settings
from registry_core.store import ANY, Append
from support import http, new, running, token_of

FOREIGN = (403, "urn:hallmark:problem:foreign-origin")


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
            behind = await client.post("/v1/versions", json=body, headers=cookie | {"authorization": "Basic eDp5"})
            assert behind.status_code == answer.status_code  # a proxy's password comes along by itself, as the cookie
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


async def test_a_revoked_token_opens_nothing_under_another_account_s_name(settings: Settings) -> None:
    """Whose stream happens to be as long as that of the token's account was when it was remembered."""
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with running(alone, find_services(["ingestion"])) as (platform, services):
        token, _ = [await token_of(platform, name, "contributor") for name in ("mallory", "bob")]
        _, _, token_id, secret = token.split("_")
        async with http(platform, services, token) as client:
            assert (await client.get("/v1/whoami")).status_code == 200
            revoked = TokenRevoked(account="mallory", token_id=token_id)
            await platform.store.append(Append(account_stream("mallory"), [new(revoked)], ANY))
            borrowed = {"authorization": f"Bearer hmk_bob_{token_id}_{secret}"}
            assert (await client.get("/v1/whoami", headers=borrowed)).status_code == 401
