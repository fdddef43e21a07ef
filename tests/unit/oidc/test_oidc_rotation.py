"""Keys come, go and are not to be had, and a flood of tokens asks nobody anything."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from registry_core.oidc import issuer as issuer_module
from registry_core.oidc.addresses import may_be_called
from registry_core.oidc.config import OidcConfig, OidcConfigError
from registry_core.oidc.verifier import Verifier
from registry_core.problems import Problem
from registry_core.settings import Settings
from support import NOW, until
from support_oidc import AUDIENCE, Issuing, issuing, rsa_key

OLD, NEW = rsa_key("old"), rsa_key("new")


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now

    def at(self) -> float:
        return self.now.timestamp()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer() -> Iterator[Issuing]:
    with issuing(OLD) as made:
        yield made


@pytest.fixture
def verifier(issuer: Issuing, clock: Clock) -> Verifier:
    return Verifier(OidcConfig.of(Settings(oidc_issuers=issuer.url, oidc_audience=AUDIENCE)), clock)


async def status(verifier: Verifier, token: str) -> int:
    try:
        await verifier.verify(token)
    except Problem as problem:
        return problem.status
    return 200


async def test_a_new_key_is_taken_at_once(issuer: Issuing, verifier: Verifier, clock: Clock) -> None:
    await verifier.verify(issuer.token(clock.at()))
    issuer.keys = [OLD, NEW]
    clock.now += issuer_module.PAUSE
    await verifier.verify(issuer.token(clock.at(), key=NEW))


async def test_a_withdrawn_key_goes_out_and_what_was_verified_by_it_too(
    issuer: Issuing, verifier: Verifier, clock: Clock
) -> None:
    token = issuer.token(clock.at(), exp=clock.at() + 86_400)
    await verifier.verify(token)
    issuer.keys = [NEW]
    clock.now += issuer_module.FRESH

    async def is_refused() -> bool:
        return await status(verifier, token) == 401

    assert await until(is_refused)
    assert await status(verifier, issuer.token(clock.at())) == 200


async def test_another_key_under_the_same_id_undoes_what_was_remembered(
    issuer: Issuing, verifier: Verifier, clock: Clock
) -> None:
    token = issuer.token(clock.at(), exp=clock.at() + 86_400)
    await verifier.verify(token)
    issuer.keys = [rsa_key("old")]
    clock.now += issuer_module.FRESH

    async def is_refused() -> bool:
        return await status(verifier, token) == 401

    assert await until(is_refused)


async def test_a_flood_of_unknown_keys_asks_the_issuer_once(issuer: Issuing, verifier: Verifier, clock: Clock) -> None:
    await verifier.verify(issuer.token(clock.at()))
    asked = len(issuer.calls)
    clock.now += issuer_module.PAUSE
    for number in range(200):
        assert await status(verifier, issuer.token(clock.at(), header={"kid": f"garbage{number}"})) == 401
    assert issuer.calls[asked:] == ["/.well-known/openid-configuration", "/jwks"]
    assert await status(verifier, issuer.token(clock.at())) == 200


async def test_an_issuer_that_is_away_is_told_and_asked_once_in_half_a_minute(clock: Clock) -> None:
    with issuing(OLD) as gone:
        token = gone.token(clock.at())
    verifier = Verifier(OidcConfig.of(Settings(oidc_issuers=gone.url, oidc_audience=AUDIENCE)), clock)
    with pytest.raises(Problem) as raised:
        await verifier.verify(token)
    assert (raised.value.status, raised.value.slug) == (503, "issuer-away")
    assert "does not answer" in raised.value.detail
    assert raised.value.headers == {"Retry-After": "30"}
    with issuing(OLD, port=int(gone.url.rsplit(":", 1)[1])) as back:
        assert await status(verifier, token) == 503
        assert back.calls == []
        clock.now += issuer_module.PAUSE
        assert await status(verifier, token) == 200


async def test_while_it_is_away_known_keys_go_on_for_a_day(clock: Clock) -> None:
    with issuing(OLD) as issuer:
        verifier = Verifier(OidcConfig.of(Settings(oidc_issuers=issuer.url, oidc_audience=AUDIENCE)), clock)
        await verifier.verify(issuer.token(clock.at()))
    clock.now += issuer_module.LONGEST - timedelta(seconds=1)
    assert await status(verifier, issuer.token(clock.at())) == 200
    clock.now += timedelta(seconds=31)
    assert await status(verifier, issuer.token(clock.at())) == 503


async def test_an_issuer_that_drips_is_given_up(
    issuer: Issuing, verifier: Verifier, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry_core.oidc.outgoing.SECONDS", 0.5)
    issuer.drips = True
    assert await status(verifier, issuer.token(clock.at())) == 503


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://login.example.com/realms/a", True), ("http://localhost:8080", True), ("http://127.0.0.1:1", True),
        ("http://[::1]:9", True), ("http://login.example.com", False), ("http://127.evil.example", False),
        ("ftp://localhost", False), ("https://user:pass@example.com", False), ("https://", False), ("", False),
        ("https://example.com/#x", False), ("https://example.com:99999", False), ("https://exämple.com", False),
        ("http://localhost.evil.example", False),
    ],
)  # fmt: skip
def test_issuers_are_reached_by_https_or_on_loopback(url: str, allowed: bool) -> None:
    assert may_be_called(url) is allowed


def test_an_issuer_on_the_net_leads_to_nothing_on_this_machine() -> None:
    assert not may_be_called("http://127.0.0.1:8080/jwks", "https://login.example.com")
    assert may_be_called("https://www.googleapis.com/oauth2/v3/certs", "https://accounts.google.com")


@pytest.mark.parametrize(
    "wrong",
    [
        {"oidc_issuer": "http://login.example.com", "oidc_client_id": "x"}, {"oidc_issuers": "https://ci.example.com"},
        {"oidc_issuer": "https://login.example.com"},
        {"oidc_issuer": "https://login.example.com", "oidc_client_id": "x", "oidc_roles": "reviewers"},
    ],
)  # fmt: skip
def test_settings_that_do_not_go_together_say_so(wrong: dict[str, str]) -> None:
    with pytest.raises(OidcConfigError, match=r"HALLMARK_|https"):
        OidcConfig.of(Settings(**wrong))
