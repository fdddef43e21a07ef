"""`hallmark source`: what it sends, and what a person sees of the answer."""

import json
from pathlib import Path

import httpx
from unit.cli.fakes import FakeServer, Hallmark, Refusing

SOURCE = {
    "source": "mlflow", "kind": "mlflow", "account": "mlflow-feed", "url": "", "connected": True,
    "connected_at": "2026-11-28T12:00:00Z", "secret_changed_at": None, "last_delivery_at": "2026-11-28T13:00:00Z",
    "deliveries": {"taken": 3, "nothing": 1, "failed": 2, "refused": 5},
    "credential_set_at": None, "last_poll": None,
}  # fmt: skip
INSTRUCTIONS = {
    "webhook_url": "http://hallmark.test:8080/v1/sources/mlflow/deliveries", "steps": ["Run the lines below."],
    "paste": {"Python, run once": "create_webhook(secret='s3cret')"},
}  # fmt: skip
DELIVERY = {
    "id": "0f8fad5b-d9cb-469f-a165-70867728950e", "source": "mlflow", "kind": "mlflow", "key": "d-1",
    "received_at": "2026-11-28T13:00:00Z", "sent_at": None, "outcome": "failed", "reason": "it may not register",
    "told": [], "replays": 0,
}  # fmt: skip


def test_connect_shows_the_secret_once_and_what_to_do_at_the_other_side(hallmark: Hallmark, server: FakeServer):
    server.will(httpx.Response(201, json={**SOURCE, **INSTRUCTIONS, "secret": "s3cret", "log_index": 7}))
    result = hallmark("source", "connect", "mlflow", "--kind", "mlflow", "--account", "mlflow-feed")
    assert result.exit_code == 0, result.output
    assert server.sent == {"name": "mlflow", "kind": "mlflow", "account": "mlflow-feed"}
    for told in ("s3cret", "not shown again", "Run the lines below.", "create_webhook", "hallmark source test mlflow"):
        assert told in result.output


def test_the_secret_comes_from_a_file_or_standard_input_and_from_no_option(
    hallmark: Hallmark, server: FakeServer, tmp_path: Path
):
    file = tmp_path / "secret"
    file.write_text("a-secret-of-ours-01\n")
    server.will(httpx.Response(201, json={**SOURCE, **INSTRUCTIONS, "log_index": 7}))
    for place, options in ((str(file), {}), ("-", {"input": "a-secret-of-ours-01\n"})):
        arguments = ("source", "connect", "mlflow", "--kind", "mlflow", "--account", "m", "--secret-file", place)
        assert hallmark(*arguments, **options).exit_code == 0
        assert server.sent["secret"] == "a-secret-of-ours-01"
    assert hallmark("source", "rotate", "mlflow", "--secret-file", str(tmp_path / "none")).exit_code == 2


def test_rotate_sends_its_grace(hallmark: Hallmark, server: FakeServer):
    server.will(httpx.Response(200, json={**SOURCE, **INSTRUCTIONS, "secret": "n3w", "log_index": 8}))
    result = hallmark("source", "rotate", "mlflow", "--grace", "0")
    assert (server.sent, "n3w" in result.output) == ({"grace_seconds": 0.0}, True)


def test_list_tells_how_deliveries_ended(hallmark: Hallmark, server: FakeServer):
    server.will(httpx.Response(200, json=[SOURCE]))
    row = hallmark("source", "list").output.splitlines()[1].split()
    assert row == ["mlflow", "mlflow", "mlflow-feed", "connected", "2026-11-28T13:00:00Z", "4", "2", "5"]
    assert json.loads(hallmark("source", "list", "--json").output) == [SOURCE]


def test_a_failed_test_is_exit_code_1_with_the_step_that_failed(hallmark: Hallmark, server: FakeServer, tmp_path: Path):
    steps = [{"step": "proof", "ok": False, "detail": "x-mlflow-signature does not fit"}]
    server.will(httpx.Response(200, json={"source": "mlflow", "test": True, "ok": False, "steps": steps}))
    body = tmp_path / "body"
    body.write_text("{}")
    result = hallmark("source", "test", "mlflow", "--body", body, "--header", "X-MLflow-Signature: v1,abc")
    assert (result.exit_code, "does not fit" in result.output) == (1, True)
    assert server.sent == {"headers": {"X-MLflow-Signature": "v1,abc"}, "body": "{}"}
    assert hallmark("source", "test", "mlflow", "--header", "nonsense").exit_code == 2


def test_deliveries_are_listed_shown_and_replayed(hallmark: Hallmark, server: FakeServer):
    server.will(httpx.Response(200, json=[DELIVERY]))
    result = hallmark("source", "deliveries", "mlflow", "--outcome", "failed")
    assert (server.requests[-1].url.params["outcome"], "it may not register" in result.output) == ("failed", True)
    server.will(httpx.Response(200, json={**DELIVERY, "headers": {}, "body": "e30=", "text": "{}"}))
    assert "{}" in hallmark("source", "delivery", DELIVERY["id"]).output
    server.will(httpx.Response(202, json={"delivery": DELIVERY["id"], "outcome": "waiting"}))
    assert hallmark("source", "replay", DELIVERY["id"]).exit_code == 0
    assert server.requests[-1].url.path == f"/v1/deliveries/{DELIVERY['id']}/replay"


def test_disconnect_needs_a_reason_and_tells_a_refusal(hallmark: Hallmark, server: FakeServer, refusing: Refusing):
    assert hallmark("source", "disconnect", "mlflow").exit_code == 2
    server.will(refusing(404, detail="a connected source mlflow is not known", fix="connect it"))
    result = hallmark("source", "disconnect", "mlflow", "--reason", "gone")
    assert (result.exit_code, "connect it" in result.output) == (1, True)


def test_a_credential_is_read_from_a_file_or_taken_away(hallmark: Hallmark, server: FakeServer, tmp_path: Path):
    file = tmp_path / "credential"
    file.write_text("reader:s3cret\n")
    server.will(httpx.Response(200, json={"source": "mlflow", "credential_set_at": "2026-11-28T12:00:00Z"}))
    result = hallmark("source", "credential", "mlflow", "--credential-file", str(file))
    assert (result.exit_code, server.sent, "s3cret" in result.output) == (0, {"credential": "reader:s3cret"}, False)
    server.will(httpx.Response(200, json={"source": "mlflow", "credential_set_at": None}))
    assert hallmark("source", "credential", "mlflow", "--remove").exit_code == 0
    assert server.sent == {"credential": None}
    assert hallmark("source", "credential", "mlflow").exit_code == 2


def test_a_source_that_is_not_answered_is_told_with_its_reason(hallmark: Hallmark, server: FakeServer):
    at = "2026-11-28T13:05:00Z"
    poll = {"at": at, "outcome": "refused", "reason": "it refuses /api (401)", "outcome_since": "2026-11-28T12:00:00Z"}
    server.will(httpx.Response(200, json=[{**SOURCE, "last_poll": poll}]))
    listed = hallmark("source", "list").output
    assert f"refused {at}" in listed
    assert "mlflow is refused since 2026-11-28T12:00:00Z: it refuses /api (401)" in listed
    server.will(httpx.Response(200, json={**SOURCE, **INSTRUCTIONS, "last_poll": poll}))
    assert "it refuses /api (401)" in hallmark("source", "show", "mlflow").output
