"""`hallmark account link|unlink|bind|unbind|sign-out`, and what `show` says of them."""

import httpx
import pytest
from unit.cli.fakes import FakeServer, Hallmark

ISSUER, LOGIN, WORKLOAD = "https://login.example.com", "l-00112233445566778899", "w-00112233445566778899"
SHOWN = {
    "account": "ci", "kind": "service", "grants": [], "roles": ["contributor"], "tokens": [], "signing_keys": [],
    "logins": [{"login": LOGIN, "issuer": ISSUER, "roles_follow": False}],
    "workloads": [{"workload": WORKLOAD, "issuer": ISSUER, "claims": {"repository": "acme/x"}}],
    "sessions": [
        {"session": "0a1b2c3d", "login": LOGIN, "expires_at": "2026-11-28T20:00:00Z", "in_force": True},
        {"session": "4e5f6a7b", "login": LOGIN, "expires_at": "2026-11-27T20:00:00Z", "in_force": False},
    ],
}  # fmt: skip


def test_a_subject_is_linked(server: FakeServer, hallmark: Hallmark) -> None:
    server.will(httpx.Response(200, json={"account": "dana", "login": LOGIN, "log_index": 7}))
    result = hallmark("account", "link", "dana", "--issuer", ISSUER, "--subject", "auth0|zoë's")
    assert LOGIN in result.stdout
    assert server.requests[-1].url.path == "/v1/accounts/dana/logins"
    assert server.sent == {"issuer": ISSUER, "subject": "auth0|zoë's"}


def test_a_pipeline_is_bound_to_every_claim(server: FakeServer, hallmark: Hallmark) -> None:
    server.will(httpx.Response(200, json={"account": "ci", "workload": WORKLOAD, "log_index": 7}))
    claims = ["--claim", "repository=acme/x", "--claim", "sub=repo:acme/x:ref=*"]
    assert hallmark("account", "bind", "ci", "--issuer", ISSUER, *claims).exit_code == 0
    assert server.sent == {"issuer": ISSUER, "claims": {"repository": "acme/x", "sub": "repo:acme/x:ref=*"}}


@pytest.mark.parametrize("claim", ["repository", "=acme/x", "repository="])
def test_a_claim_without_name_or_value_is_a_mistake(server: FakeServer, hallmark: Hallmark, claim: str) -> None:
    assert hallmark("account", "bind", "ci", "--issuer", ISSUER, "--claim", claim).exit_code == 2
    assert server.requests == []


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (("unlink", "dana", LOGIN), f"/v1/accounts/dana/logins/{LOGIN}"),
        (("unbind", "ci", WORKLOAD), f"/v1/accounts/ci/workloads/{WORKLOAD}"),
        (("sign-out", "dana", "0a1b2c3d"), "/v1/accounts/dana/sessions/0a1b2c3d"),
    ],
)
def test_each_can_be_undone(server: FakeServer, hallmark: Hallmark, command: tuple[str, ...], path: str) -> None:
    server.will(httpx.Response(200, json={"log_index": 7}))
    assert hallmark("account", *command).exit_code == 0
    assert (server.requests[-1].method, server.requests[-1].url.path) == ("DELETE", path)


def test_an_account_shows_who_comes_as_it_and_is_signed_in(server: FakeServer, hallmark: Hallmark) -> None:
    server.will(httpx.Response(200, json=SHOWN))
    shown = hallmark("account", "show", "ci").stdout
    assert all(text in shown for text in (LOGIN, WORKLOAD, "repository=acme/x", "0a1b2c3d"))
    assert "4e5f6a7b" not in shown, "a session that is over"
