"""`--as-of` and `--known-at`: what the server is asked, and what a person reads."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hallmark.cli.base import past
from unit.cli.fakes import FakeServer, Hallmark

REF = "model:credit-risk@1.0.0"
ASSET = {
    "asset": "model:credit-risk", "newest": REF, "newest_approved": None, "owner": "dana",
    "as_of": "2026-03-01T00:00:00Z",
    "versions": [
        {"ref": REF, "state": "draft", "owner": "dana", "registered_by": "ci", "registered_at": "2026-02-01T00:00:00Z"}
    ],
}  # fmt: skip
ACCOUNT = {
    "account": "dana", "kind": "human", "person": "dana", "roles": ["viewer"],
    "grants": [], "signing_keys": [],
    "tokens": [
        {
            "token_id": "ab12", "label": "", "actions": None, "assets": None, "expires_at": None, "in_force": True,
            "last_used_at": None,
        }
    ],
}  # fmt: skip
ACTIVATION = {"name": "baseline", "version": "1.0.0", "digest": "sha256:0", "document": "rules: []"}


@pytest.mark.parametrize(
    ("command", "path", "answer"),
    [
        (["status", "model:credit-risk"], "/v1/assets/model%3Acredit-risk", (ASSET, REF)),
        (["account", "show", "dana"], "/v1/accounts/dana", (ACCOUNT, "ab12")),
        (["policy", "show", "baseline"], "/v1/policies/baseline/activation", (ACTIVATION, "rules: []")),
    ],
)
def test_the_bounds_are_sent_and_the_state_is_shown(
    server: FakeServer, hallmark: Hallmark, command: list[str], path: str, answer: tuple[dict[str, object], str]
) -> None:
    document, told = answer
    server.will(httpx.Response(200, json=document))
    result = hallmark(*command, "--as-of", "2026-03-01", "--known-at", "2026-03-02T10:00+02:00")
    assert result.exit_code == 0, result.stderr
    url = server.requests[-1].url
    assert url.raw_path.decode().partition("?")[0] == path
    assert dict(url.params) == {"as_of": "2026-03-01T00:00:00+00:00", "known_at": "2026-03-02T10:00:00+02:00"}
    assert told in result.stdout


@pytest.mark.parametrize(("text", "ago"), [("3d", timedelta(days=3)), ("2h", timedelta(hours=2)), ("0s", timedelta())])
def test_a_span_is_counted_back_from_now(text: str, ago: timedelta) -> None:
    before = datetime.now(UTC)
    found = past(text)
    assert before - ago <= found <= datetime.now(UTC) - ago


def test_without_bounds_none_are_sent(server: FakeServer, hallmark: Hallmark) -> None:
    server.will(httpx.Response(200, json=ACCOUNT))
    hallmark("account", "show", "dana")
    assert not server.requests[-1].url.params
