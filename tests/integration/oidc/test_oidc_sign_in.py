"""Signing in to the console at an issuer, over real HTTP on both sides; and what must not sign anybody in."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from registry_core.events.governance import AccountClosed, RolesChanged
from registry_core.events.logins import LoginUnlinked
from registry_core.identity import Account, account_stream, find_account
from registry_core.oidc.linking import Subject
from registry_core.settings import Settings
from support_console import Console, append, console
from support_oidc import Issuing, issuing, linked, rsa_key


@pytest.fixture
def issuer() -> Iterator[Issuing]:
    with issuing(rsa_key("k1")) as made:
        yield made


@dataclass(frozen=True)
class World:
    console: Console
    issuer: Issuing

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(base_url=self.console.url, timeout=30) as http:
            yield http

    async def account(self, name: str = "dana", *roles: str) -> str:
        return await linked(
            self.console.platform, name, Subject(self.issuer.url, self.issuer.subject), *(roles or ("viewer",))
        )

    async def leave(self, http: httpx.AsyncClient, next_path: str = "/reviews") -> str:
        """To the issuer and back; the address that it leads to."""
        out = await http.get("/login/oidc", params={"next": next_path})
        assert out.status_code == 303, out.text
        back = await http.get(out.headers["location"])
        return str(back.headers["location"])

    async def sign_in(self, http: httpx.AsyncClient, next_path: str = "/reviews") -> httpx.Response:
        return await http.get(await self.leave(http, next_path))


def settings_with(settings: Settings, issuer: Issuing, **more: Any) -> Settings:
    changed = {"kafka_bootstrap": "", "oidc_issuer": issuer.url, "oidc_client_id": "console", "oidc_name": "Example"}
    return settings.model_copy(update={**changed, **more})


@pytest.fixture
async def world(settings: Settings, issuer: Issuing) -> AsyncIterator[World]:
    async with console(settings_with(settings, issuer)) as running:
        yield World(running, issuer)


async def reads(http: httpx.AsyncClient) -> int:
    return (await http.get("/v1/views")).status_code


async def test_whoever_the_issuer_vouches_for_is_signed_in_and_goes_on_where_they_were(world: World) -> None:
    await world.account()
    async with world.browser() as http:
        assert "Sign in with Example" in (await http.get("/login")).text
        answer = await world.sign_in(http)
        assert answer.status_code == 200, answer.text
        assert 'content="0;url=/reviews"' in answer.text
        cookies = " | ".join(answer.headers.get_list("set-cookie")).lower()
        assert "hallmark_token=hms_dana_" in cookies
        assert all(part in cookies for part in ("httponly", "samesite=strict", "max-age=28800"))
        assert await reads(http) == 200
        assert "dana" in (await http.get("/reviews")).text


async def test_the_way_out_asks_by_pkce_with_a_state_and_a_nonce_of_its_own(world: World) -> None:
    async with world.browser() as http:
        asked = [
            parse_qs(urlsplit((await http.get("/login/oidc")).headers["location"]).query, strict_parsing=True)
            for _ in range(2)
        ]
    first, second = asked
    assert first["response_type"] == ["code"]
    assert first["code_challenge_method"] == ["S256"]
    assert first["scope"] == ["openid email profile"]
    assert first["redirect_uri"] == [f"{world.console.url}/login/callback"]
    for name in ("state", "nonce", "code_challenge"):
        assert first[name] != second[name]


async def test_a_stranger_is_told_what_to_ask_for(world: World) -> None:
    world.issuer.subject = "auth0|<b>zoë's"
    async with world.browser() as http:
        answer = await world.sign_in(http)
        assert answer.status_code == 403
        assert "auth0|&lt;b&gt;zoë&#39;s" in answer.text
        assert "hallmark account link" in answer.text
        assert await reads(http) == 401


async def test_signing_out_ends_the_session_at_the_server_for_every_copy_of_its_cookie(world: World) -> None:
    await world.account()
    async with world.browser() as http, world.browser() as copy:
        await world.sign_in(http)
        copy.cookies = httpx.Cookies(http.cookies)
        assert (await reads(http), await reads(copy)) == (200, 200)
        foreign = await http.post("/logout", headers={"origin": "https://evil.example"})
        assert (foreign.status_code, await reads(http)) == (403, 200)
        out = await http.post("/logout")
        assert out.headers["location"] == "/login"
        assert (await reads(http), await reads(copy)) == (401, 401)


async def test_signing_out_goes_on_to_the_issuer_where_it_has_a_place_for_it(world: World) -> None:
    world.issuer.document["end_session_endpoint"] = f"{world.issuer.url}/bye"
    await world.account()
    async with world.browser() as http:
        await world.sign_in(http)
        there = urlsplit((await http.post("/logout")).headers["location"])
    assert f"{there.scheme}://{there.netloc}{there.path}" == f"{world.issuer.url}/bye"
    asked = {"client_id": ["console"], "post_logout_redirect_uri": [f"{world.console.url}/login"]}
    assert parse_qs(there.query) == asked


async def test_an_unlinked_login_and_a_lost_role_count_at_once(world: World) -> None:
    login = await world.account()
    async with world.browser() as http:
        await world.sign_in(http)
        platform, stream = world.console.platform, account_stream("dana")
        await append(platform, stream, RolesChanged(account="dana", roles=()))
        assert await reads(http) == 403
        await append(platform, stream, RolesChanged(account="dana", roles=("viewer",)))
        assert await reads(http) == 200
        await append(platform, stream, LoginUnlinked(account="dana", login=login))
        assert await reads(http) == 401


async def test_a_session_outlives_a_restart_and_holds_at_every_replica(settings: Settings, issuer: Issuing) -> None:
    having = settings_with(settings, issuer)
    async with console(having) as first:
        world = World(first, issuer)
        await world.account()
        async with world.browser() as http:
            await world.sign_in(http)
            cookies = httpx.Cookies(http.cookies)
            left = await world.leave(http)
            pending = httpx.Cookies(http.cookies)
    async with console(having) as second, World(second, issuer).browser() as http:
        http.cookies = cookies
        assert await reads(http) == 200
        http.cookies = pending
        there = await http.get(f"/login/callback?{urlsplit(left).query}")
        assert there.status_code == 200, "what began at one replica ends at another"


async def test_a_session_ends_after_its_time(settings: Settings, issuer: Issuing) -> None:
    async with console(settings_with(settings, issuer, session_minutes=5)) as running:
        world = World(running, issuer)
        await world.account()
        async with world.browser() as http:
            await world.sign_in(http)
    account = await load_account(settings, issuer, "dana")
    (session,) = account.sessions.values()
    assert not session.in_force(session.expires_at)


async def load_account(settings: Settings, issuer: Issuing, name: str) -> Account:
    async with console(settings_with(settings, issuer)) as running:
        return await find_account(running.platform.reader, name)


async def refused(answer: httpx.Response, http: httpx.AsyncClient, why: str) -> None:
    assert answer.status_code in (400, 401, 503), answer.text
    assert why in answer.text.replace("&#39;", "'")
    assert "Not signed in" in answer.text
    assert await reads(http) == 401


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"state": "another"}, "another sign-in"), ({"code": "never-given"}, "did not take the code"),
        ({"iss": "https://evil.example"}, "not from the issuer"), ({"code": ""}, "holds no code"),
        ({"error": "access_denied", "error_description": "<script>no</script>"}, "&lt;script&gt;no"),
    ],
)  # fmt: skip
async def test_an_answer_that_does_not_fit_signs_nobody_in(world: World, answer: dict[str, str], why: str) -> None:
    await world.account()
    world.issuer.answer = answer
    async with world.browser() as http:
        await refused(await world.sign_in(http), http, why)


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"nonce": "another"}, "`nonce`"), ({"nonce": None}, "`nonce`"), ({"aud": "another-client"}, "made for"),
        ({"azp": "another-client"}, "`azp`"), ({"exp": 5}, "expired"), ({"sub": None}, "no subject"),
        ({"iss": "https://evil.example"}, "none whose tokens"),
    ],
)  # fmt: skip
async def test_an_id_token_that_does_not_fit_signs_nobody_in(world: World, claims: dict[str, Any], why: str) -> None:
    await world.account()
    world.issuer.id_claims = claims
    async with world.browser() as http:
        await refused(await world.sign_in(http), http, why)


async def test_an_issuer_that_names_itself_has_to(world: World) -> None:
    await world.account()
    world.issuer.document["authorization_response_iss_parameter_supported"] = True
    async with world.browser() as http:
        await refused(await world.sign_in(http), http, "(`iss`)")
    world.issuer.answer = {"iss": world.issuer.url}
    async with world.browser() as http:
        assert (await world.sign_in(http)).status_code == 200


async def test_a_sign_in_ends_in_the_browser_in_which_it_began_and_once(world: World) -> None:
    await world.account()
    async with world.browser() as victim, world.browser() as attacker:
        address = await world.leave(attacker)
        await refused(await victim.get(address), victim, "did not begin in this browser")
        assert (await attacker.get(address)).status_code == 200
        again = await attacker.get(address)
        assert again.status_code == 400


async def test_another_issuer_s_token_signs_nobody_in(settings: Settings, issuer: Issuing) -> None:
    with issuing(rsa_key("ci")) as ci:
        having = settings_with(settings, issuer, oidc_issuers=ci.url, oidc_audience="hallmark")
        async with console(having) as running:
            world = World(running, issuer)
            await linked(running.platform, "ci", Subject(ci.url, "dana-4711"), "viewer")
            async with world.browser() as http:
                token = ci.token(running.platform.clock().timestamp())
                headers = {"authorization": f"Bearer {token}"}
                assert (await http.get("/v1/views", headers=headers)).status_code == 200
                assert (await http.post("/v1/sessions", headers=headers)).status_code == 403


@pytest.mark.parametrize(
    "path", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nb", "javascript:x"]
)
async def test_signing_in_leads_nowhere_else(world: World, path: str) -> None:
    await world.account()
    async with world.browser() as http:
        assert 'content="0;url=/"' in (await world.sign_in(http, path)).text


async def test_a_host_that_anybody_may_claim_is_none_to_come_back_to(world: World) -> None:
    async with world.browser() as http:
        answer = await http.get("/login/oidc", headers={"host": "evil.example"})
    assert answer.status_code == 503
    assert "HALLMARK_PUBLIC_URL" in answer.text


async def test_behind_https_the_cookies_never_travel_without(settings: Settings, issuer: Issuing) -> None:
    having = settings_with(settings, issuer, public_url="https://models.example.com/")
    async with console(having) as running, World(running, issuer).browser() as http:
        out = await http.get("/login/oidc")
    cookie = out.headers["set-cookie"]
    assert cookie.startswith("__Host-hallmark_sign_in=")
    assert all(part in cookie.lower() for part in ("secure", "httponly", "path=/", "samesite=lax"))
    assert "domain" not in cookie.lower()
    asked = parse_qs(urlsplit(out.headers["location"]).query)
    assert asked["redirect_uri"] == ["https://models.example.com/login/callback"]


async def test_while_the_issuer_is_away_a_token_still_signs_in(settings: Settings) -> None:
    with issuing(rsa_key("k1")) as gone:
        pass
    async with console(settings_with(settings, gone)) as running, World(running, gone).browser() as http:
        away = await http.get("/login/oidc")
        assert away.status_code == 503
        assert "cannot be asked" in away.text
        assert (await http.get("/login")).status_code == 200


async def test_without_an_issuer_there_is_no_such_way_in(settings: Settings) -> None:
    without = settings.model_copy(update={"kafka_bootstrap": ""})
    async with console(without) as running, httpx.AsyncClient(base_url=running.url) as http:
        assert "Sign in with" not in (await http.get("/login")).text
        assert (await http.get("/login/oidc")).status_code == 400
        assert (await http.get("/v1/sign-in")).status_code == 404


async def test_a_session_in_place_of_the_issuer_s_token_for_the_command_line(world: World) -> None:
    await world.account()
    token = world.issuer.token(world.console.platform.clock().timestamp(), aud="console")
    async with world.browser() as http:
        opened = await http.post("/v1/sessions", headers={"authorization": f"Bearer {token}"})
        assert opened.status_code == 201, opened.text
        session = {"authorization": f"Bearer {opened.json()['token']}"}
        assert (await http.get("/v1/views", headers=session)).status_code == 200
        assert (await http.post("/v1/sessions", headers=session)).status_code == 401, "no session makes another"
        assert (await http.delete("/v1/sessions/current", headers=session)).json() == {"ended": True}
        assert (await http.get("/v1/views", headers=session)).status_code == 401
        assert (await http.delete("/v1/sessions/current", headers=session)).json() == {"ended": False}


GROUPS = {"oidc_roles_claim": "realm.groups", "oidc_roles": "ml-risk=reviewer:risk,ml-all=viewer"}


async def test_accounts_are_made_at_the_first_sign_in_with_the_roles_of_the_claim(
    settings: Settings, issuer: Issuing
) -> None:
    async with console(settings_with(settings, issuer, **GROUPS)) as running:
        world = World(running, issuer)

        async def roles_after(*groups: str) -> list[str]:
            about = {"email": "dana@example.com", "email_verified": True, "name": "Dana E."}
            issuer.id_claims = {"realm": {"groups": list(groups)}, **about}
            async with world.browser() as http:
                await world.sign_in(http)
                text = http.cookies.get("hallmark_token", "")
            if not text:
                return ["nobody"]
            account = await find_account(running.platform.reader, text.split("_")[1])
            names = await running.platform.vault.unseal(account.person, account.name, account.display_name)
            assert names == ["dana@example.com", "Dana E."]
            return [account.account, *sorted(account.roles)]

        assert await roles_after() == ["nobody"]
        assert await roles_after("strangers") == ["nobody"]
        made, *roles = await roles_after("ml-risk")
        assert (made[:2], roles) == ("u-", ["reviewer:risk"])
        assert await roles_after("ml-risk", "ml-all") == [made, "reviewer:risk", "viewer"]
        assert await roles_after("ml-all") == [made, "viewer"]
        assert await roles_after("strangers") == [made], "signed in, and may do nothing"


async def test_whoever_is_linked_to_a_closed_account_gets_no_other(settings: Settings, issuer: Issuing) -> None:
    async with console(settings_with(settings, issuer, **GROUPS)) as running:
        world = World(running, issuer)
        await world.account()
        issuer.id_claims = {"realm": {"groups": ["ml-risk"]}}
        closed = AccountClosed(account="dana", reason="left")
        async with world.browser() as http:
            await world.sign_in(http)
            assert await reads(http) == 200
            await append(running.platform, account_stream("dana"), closed)
            assert await reads(http) == 401
            await refused(await world.sign_in(http), http, "dana is closed")


async def test_without_the_setting_nobody_makes_an_account(world: World) -> None:
    world.issuer.id_claims = {"groups": ["admin"], "roles": ["admin"]}
    async with world.browser() as http:
        assert (await world.sign_in(http)).status_code == 403
