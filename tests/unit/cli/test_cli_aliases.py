"""`hallmark alias`, and references by alias where a version is read."""

import httpx
import pytest
from unit.cli.fakes import FakeServer, Hallmark

MOVE = {
    "before": None, "after": "model:m@1.0.0", "by": "lee", "reason": "best", "occurred_at": "2026-11-28T12:00:00Z",
    "recorded_at": "2026-11-28T12:00:00Z",
}  # fmt: skip


def test_setting_sends_version_reason_and_expectation(server: FakeServer, hallmark: Hallmark):
    server.will(httpx.Response(200, json={"asset": "model:m", "alias": "champion", "log_index": 7}))
    result = hallmark("alias", "set", "champion", "model:m@1.0.0", "--reason", "best", "--if-match", "3")
    assert result.stdout == "model:m@champion is model:m@1.0.0\n"
    request = server.requests[-1]
    assert (request.method, request.url.path) == ("PUT", "/v1/assets/model:m/aliases/champion")
    assert (server.sent, request.headers["If-Match"]) == ({"ref": "model:m@1.0.0", "reason": "best"}, "3")


def test_removing_needs_a_reason(server: FakeServer, hallmark: Hallmark):
    server.will(httpx.Response(200, json={"log_index": 7}))
    assert hallmark("alias", "remove", "model:m", "champion").exit_code == 2
    assert hallmark("alias", "remove", "model:m", "champion", "--reason", "over").exit_code == 0
    assert (server.requests[-1].method, dict(server.requests[-1].url.params)) == ("DELETE", {"reason": "over"})


def test_the_history_shows_before_and_after(server: FakeServer, hallmark: Hallmark):
    one = {"asset": "model:m", "alias": "champion", "ref": "model:m@1.0.0", "history": [MOVE]}
    server.will(httpx.Response(200, json=one))
    lines = hallmark("alias", "list", "model:m", "champion").stdout.splitlines()
    assert lines[1].split() == ["version", "model:m@1.0.0"]
    assert lines[-1].split() == ["2026-11-28T12:00:00Z", "model:m@1.0.0", "lee", "best"]


def test_a_version_can_be_asked_for_by_alias(server: FakeServer, hallmark: Hallmark):
    server.will(httpx.Response(200, json={"ref": "model:m@1.0.0", "state": "draft", "digest": "sha256:0"}))
    assert "model:m@1.0.0" in hallmark("status", "model:m@champion").stdout
    assert server.requests[-1].url.path == "/v1/versions/model:m@champion"
    assert hallmark("status", "model:m@Champion!").exit_code == 2


def test_an_asset_s_status_tells_its_aliases(server: FakeServer, hallmark: Hallmark):
    aliases = {"owner": "model:m@1.0.0", "canary": "model:m@2.0.0"}
    asset = {"asset": "model:m", "newest": "model:m@2.0.0", "newest_approved": None, "owner": "dana", "versions": []}
    server.will(httpx.Response(200, json={**asset, "aliases": aliases}))
    lines = [line.split(None, 1) for line in hallmark("status", "model:m").stdout.splitlines() if line]
    assert ["owner", "dana"] in lines
    assert ["aliases", "canary is model:m@2.0.0, owner is model:m@1.0.0"] in lines


@pytest.mark.parametrize(
    "command", [["alias", "protect", "--reason", "tidy"], ["account", "roles", "dana"]], ids=" ".join
)
def test_nothing_named_is_not_all_taken_away(hallmark: Hallmark, command: list[str]):
    result = hallmark(*command)
    assert result.exit_code == 2
    assert "--none" in result.stderr
