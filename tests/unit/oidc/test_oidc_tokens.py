"""What opens nothing: every token but an issuer's own, for us, now."""

import base64
import hashlib
import hmac
import json
import string
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey
from registry_core.oidc.config import OidcConfig
from registry_core.oidc.verifier import Verifier
from registry_core.problems import Problem
from registry_core.settings import Settings
from support import NOW
from support_oidc import AUDIENCE, Issuing, issuing, rsa_key

KEY, NEXT, STRANGER = rsa_key("k1"), rsa_key("k2"), rsa_key("k1")
AT = NOW.timestamp()


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture(scope="module")
def standing() -> Iterator[Issuing]:
    """One that no test changes."""
    with issuing(KEY) as issuer:
        yield issuer


@pytest.fixture
def issuer() -> Iterator[Issuing]:
    with issuing(KEY) as made:
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


def verifier_of(*issuers: Issuing, clock: Clock | None = None, skew: float = 60) -> Verifier:
    named = ",".join(each.url for each in issuers)
    config = OidcConfig.of(Settings(oidc_issuers=named, oidc_audience=AUDIENCE, oidc_clock_skew=skew))
    return Verifier(config, clock or Clock())


async def refusal(verifier: Verifier, token: str) -> Problem:
    with pytest.raises(Problem) as raised:
        await verifier.verify(token)
    return raised.value


async def refused(verifier: Verifier, token: str, status: int = 401) -> str:
    problem = await refusal(verifier, token)
    assert problem.status == status
    return problem.detail


async def test_a_token_of_the_issuer_says_who_it_is(issuer: Issuing) -> None:
    identity = await verifier_of(issuer).verify(issuer.token(AT, repository="org/model"))
    assert (identity.issuer, identity.subject) == (issuer.url, "dana-4711")
    assert identity.claims["repository"] == "org/model"


@pytest.fixture(scope="module")
async def warm(standing: Issuing) -> Verifier:
    verifier = verifier_of(standing)
    await verifier.verify(standing.token(AT))
    return verifier


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_any_changed_byte_is_refused(standing: Issuing, warm: Verifier, data: st.DataObject) -> None:
    token = standing.token(AT)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126).filter(lambda c: c != token[place]))
    assert (await refusal(warm, token[:place] + other + token[place + 1 :])).status in (401, 503)


async def test_the_last_character_of_a_signature_has_one_form(standing: Issuing, warm: Verifier) -> None:
    """Four of its six bits mean nothing in a signature of 256 bytes."""
    token = standing.token(AT)
    others = (string.ascii_letters + string.digits + "-_").replace(token[-1], "")
    for other in others:
        await refused(warm, token[:-1] + other)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(garbage=st.text(max_size=60), parts=st.lists(st.binary(max_size=40), min_size=3, max_size=3))
async def test_garbage_is_refused_and_never_a_fault(warm: Verifier, garbage: str, parts: list[bytes]) -> None:
    await refused(warm, garbage)
    await refused(warm, ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts))


def unsigned(header: dict[str, Any], claims: dict[str, Any], secret: bytes | None = None) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims)]
    signed = hmac.digest(secret, ".".join(parts).encode(), hashlib.sha256) if secret else b"\0"
    return ".".join([*parts, base64.urlsafe_b64encode(signed).rstrip(b"=").decode()])


@pytest.mark.parametrize("alg", ["none", "None", "HS256", "HS512", "RS1", "", None, 5, ["RS256"]])
async def test_no_algorithm_but_a_listed_asymmetric_one(issuer: Issuing, alg: Any) -> None:
    issuer.document["id_token_signing_alg_values_supported"] = ["RS256", "HS256", "none"]
    token = unsigned({"alg": alg, "kid": "k1"}, issuer.claims(AT), b"secret")
    assert "signs by RS256" in await refused(verifier_of(issuer), token)


@pytest.mark.parametrize("form", ["pem", "der", "jwk"])
async def test_the_public_key_is_no_secret_for_hs256(issuer: Issuing, form: str) -> None:
    secrets = {"pem": KEY.as_pem(False), "der": KEY.as_der(False), "jwk": json.dumps(KEY.as_dict(False)).encode()}
    issuer.document["id_token_signing_alg_values_supported"] = ["HS256", "RS256"]
    token = unsigned({"alg": "HS256", "kid": "k1"}, issuer.claims(AT), secrets[form])
    assert "signs by RS256" in await refused(verifier_of(issuer), token)


async def test_an_algorithm_that_the_issuer_does_not_list_is_refused_though_the_key_would_do(issuer: Issuing) -> None:
    issuer.document["id_token_signing_alg_values_supported"] = ["RS256"]
    assert "'PS256'" in await refused(verifier_of(issuer), issuer.token(AT, header={"alg": "PS256"}))


async def test_a_key_that_is_for_one_algorithm_verifies_no_other(issuer: Issuing) -> None:
    issuer.keys = [type(KEY).import_key({**KEY.as_dict(True), "alg": "PS256"})]
    token = issuer.token(AT, key=KEY)
    assert "no one key for RS256" in await refused(verifier_of(issuer), token)


async def test_each_form_of_key_goes_with_its_algorithm_alone(issuer: Issuing) -> None:
    curve, edwards = ECKey.generate_key("P-256", {"kid": "ec"}), OKPKey.generate_key("Ed25519", {"kid": "ed"})
    issuer.keys = [KEY, curve, edwards]
    issuer.document["id_token_signing_alg_values_supported"] = ["RS256", "ES256", "ES384", "EdDSA"]
    verifier = verifier_of(issuer)
    for key, alg in ((curve, "ES256"), (edwards, "EdDSA"), (KEY, "RS256")):
        await verifier.verify(issuer.token(AT, key=key, header={"alg": alg}))
    for kid, alg in (("ec", "RS256"), ("k1", "ES256"), ("ec", "ES384"), ("ed", "ES256")):
        await refused(verifier, unsigned({"alg": alg, "kid": kid}, issuer.claims(AT)))


@pytest.mark.parametrize(
    "brought",
    [
        {"jwk": STRANGER.as_dict(False)}, {"jku": "http://127.0.0.1:1/keys"}, {"x5u": "http://127.0.0.1:1/cert"},
        {"kid": "../../../dev/null"}, {"kid": "k1' or 1=1 --"}, {"kid": "\0"}, {"kid": "k" * 9000},
    ],
)  # fmt: skip
async def test_a_key_that_the_token_brings_or_points_to_counts_for_nothing(
    issuer: Issuing, brought: dict[str, Any]
) -> None:
    claims = base64.urlsafe_b64encode(json.dumps(issuer.claims(AT)).encode()).rstrip(b"=").decode()
    genuine = issuer.token(AT, key=STRANGER).split(".")[2]
    header = base64.urlsafe_b64encode(json.dumps({"alg": "RS256", "kid": "k1", **brought}).encode()).rstrip(b"=")
    await refused(verifier_of(issuer), f"{header.decode()}.{claims}.{genuine}")
    assert all(path in ("/.well-known/openid-configuration", "/jwks") for path in issuer.calls)


async def test_a_critical_header_that_nobody_knows_is_refused(issuer: Issuing) -> None:
    header = {"alg": "RS256", "kid": "k1", "crit": ["exp"], "exp": 1}
    await refused(verifier_of(issuer), unsigned(header, issuer.claims(AT)))


async def test_a_key_too_small_is_no_key(issuer: Issuing) -> None:
    issuer.keys = [KEY, rsa_key("small", 1024)]
    assert "no key 'small'" in await refused(verifier_of(issuer), issuer.token(AT, key=issuer.keys[1]))


async def test_without_a_key_id_the_key_has_to_be_the_only_one_that_could_be_meant(issuer: Issuing) -> None:
    token = issuer.token(AT, header={"kid": None})
    await verifier_of(issuer).verify(token)
    issuer.keys = [KEY, NEXT]
    assert "no one key" in await refused(verifier_of(issuer), token)


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"aud": "another"}, "made for 'another'"), ({"aud": None}, "made for 'None'"), ({"aud": []}, "made for"),
        ({"aud": {"hallmark": 1}}, "made for"), ({"aud": ["hallmark", "x"]}, "made for several"),
        ({"aud": ["hallmark", "x"], "azp": "x"}, "made for several"),
        ({"sub": None}, "no subject"), ({"sub": ""}, "no subject"), ({"sub": 5}, "no subject"),
        ({"sub": "x" * 600}, "no subject"), ({"sub": "a\0b"}, "no subject"),
        ({"exp": None}, "`exp`"), ({"exp": "soon"}, "`exp`"), ({"exp": True}, "`exp`"), ({"exp": 1e300}, "`exp`"),
        ({"exp": float("nan")}, "`exp`"), ({"iat": None}, "`iat`"), ({"nbf": "x"}, "`nbf`"),
        ({"cnf": {"jkt": "x"}}, "`cnf`"),
    ],
)  # fmt: skip
async def test_each_claim_has_to_be_right(standing: Issuing, warm: Verifier, claims: dict[str, Any], why: str) -> None:
    assert why in await refused(warm, standing.token(AT, **claims))


async def test_one_of_several_audiences_is_enough_if_its_party_is_ours(standing: Issuing, warm: Verifier) -> None:
    await warm.verify(standing.token(AT, aud=["account", AUDIENCE], azp=AUDIENCE))


@pytest.mark.parametrize("kind", ["logout+jwt", "secevent+jwt", "dpop+jwt"])
async def test_a_token_that_says_something_else_is_no_identity(standing: Issuing, warm: Verifier, kind: str) -> None:
    assert "says nobody's identity" in await refused(warm, standing.token(AT, header={"typ": kind}))


@pytest.mark.parametrize("kind", ["JWT", "at+jwt", "application/at+jwt"])
async def test_id_and_access_tokens_are_taken(standing: Issuing, warm: Verifier, kind: str) -> None:
    await warm.verify(standing.token(AT, header={"typ": kind}))


@pytest.mark.parametrize(
    ("claims", "accepted"),
    [
        ({"exp": AT - 59.5}, True), ({"exp": AT - 60}, False), ({"nbf": AT + 60}, True), ({"nbf": AT + 60.5}, False),
        ({"iat": AT + 60}, True), ({"iat": AT + 60.5}, False),
    ],
)  # fmt: skip
async def test_clocks_may_differ_by_a_minute_and_no_more(
    standing: Issuing, warm: Verifier, claims: dict[str, Any], accepted: bool
) -> None:
    token = standing.token(AT, **{"iat": AT - 600, **claims})
    if accepted:
        await warm.verify(token)
    else:
        await refused(warm, token)


async def test_a_remembered_token_ends_when_it_expires(issuer: Issuing, clock: Clock) -> None:
    verifier, token = verifier_of(issuer, clock=clock), issuer.token(AT)
    await verifier.verify(token)
    clock.pass_seconds(359)
    await verifier.verify(token)
    clock.pass_seconds(1)
    assert "expired" in await refused(verifier, token)


async def test_an_issuer_s_key_vouches_for_nobody_of_another_issuer(issuer: Issuing) -> None:
    with issuing(NEXT) as other:
        verifier = verifier_of(issuer, other)
        mixed = issuer.token(AT, iss=other.url)
        assert "no key 'k1'" in await refused(verifier, mixed)
        assert "does not hold" in await refused(verifier, issuer.token(AT, iss=other.url, header={"kid": "k2"}))


@pytest.mark.parametrize("stranger", ["https://evil.example", "", None, 5, ["x"]])
async def test_no_issuer_but_those_of_the_settings_is_asked(issuer: Issuing, stranger: Any) -> None:
    assert "none whose tokens are taken" in await refused(verifier_of(issuer), issuer.token(AT, iss=stranger))
    assert issuer.calls == []


async def test_discovery_has_to_be_the_issuer_s_own_letter_by_letter(issuer: Issuing) -> None:
    issuer.document["issuer"] = f"{issuer.url}/"
    assert "discovery document is that of" in await refused(verifier_of(issuer), issuer.token(AT), 503)


async def test_keys_are_not_fetched_from_where_nobody_may_be_led(issuer: Issuing) -> None:
    for address in ("http://192.0.2.1/jwks", "file:///etc/passwd", "http://user@127.0.0.1/", 5):
        issuer.document["jwks_uri"] = address
        assert "no https address" in await refused(verifier_of(issuer), issuer.token(AT), 503)


async def test_a_redirect_is_not_followed(issuer: Issuing) -> None:
    with issuing(KEY) as elsewhere:
        issuer.redirect_to = f"{elsewhere.url}/jwks"
        assert "leads elsewhere" in await refused(verifier_of(issuer), issuer.token(AT), 503)
        assert elsewhere.calls == []


@pytest.mark.parametrize(
    ("jwks", "why"),
    [
        (b'{"keys": [' + b" " * 600_000 + b"]}", "more than"), (b"[]", "no JSON object"), (b"\xff", "no JSON object"),
        (b'{"keys": []}', "no key"), (b'{"keys": 5}', "no key"), (b'{"keys": [5, {"kty": "RSA"}, {}]}', "no key"),
        (b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "k1"}]}', "no key"), (b"[" * 100_000, "no JSON object"),
    ],
)  # fmt: skip
async def test_what_is_no_key_set_is_told_and_never_a_fault(issuer: Issuing, jwks: bytes, why: str) -> None:
    issuer.jwks = jwks
    assert why in await refused(verifier_of(issuer), issuer.token(AT), 503)
