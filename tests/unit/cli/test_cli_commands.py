"""What a command prints, where, and how it exits."""

import json
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import typer
from hallmark.cli.base import moment
from hallmark.cli.output import plain
from hypothesis import given
from hypothesis import strategies as st
from registry_core.proofs.canonical import canonical_json, to_base64
from registry_core.proofs.dsse import REVIEW
from unit.cli.fakes import FakeServer, Hallmark, Refusing

REF = "model:credit-risk@1.0.0"
WHO = {"account": "alice", "kind": "human", "person": "alice", "roles": ["viewer"]}


def test_json_is_the_servers_document_and_nothing_else(server: FakeServer, hallmark: Hallmark):
    server.will(httpx.Response(200, json=WHO))
    result = hallmark("whoami", "--json")
    assert (json.loads(result.stdout), result.stderr, result.exit_code) == (WHO, "", 0)


def test_a_person_reads_names_and_values(server: FakeServer, hallmark: Hallmark):
    server.will(httpx.Response(200, json=WHO))
    assert re.search(r"account\s+alice", hallmark("whoami").stdout)


def test_a_refusal_exits_1_with_the_next_step_on_standard_error(
    server: FakeServer, hallmark: Hallmark, refusing: Refusing
):
    server.will(refusing(422, detail="no", fix="write it", errors=[{"field": "/ref", "message": "bad"}]))
    result = hallmark("retire", REF, "--cause", "old")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Error: no" in result.stderr
    assert "/ref: bad" in result.stderr
    assert "Next:  write it" in result.stderr


def test_a_refusal_with_json_is_the_problem_document(server: FakeServer, hallmark: Hallmark, refusing: Refusing):
    server.will(refusing(409, detail="no", fix="do", current_version=3))
    result = hallmark("retire", REF, "--cause", "old", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stderr)["current_version"] == 3


def test_no_answer_exits_3(server: FakeServer, hallmark: Hallmark):
    server.will(httpx.ConnectError("refused"))
    result = hallmark("whoami")
    assert result.exit_code == 3
    assert "hallmark doctor" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["status", "model:bad@1"],
        ["status", "modl:bad"],
        ["status", REF, "--as-of", "2026-13-01"],
        ["status", "promotion-1", "--as-of", "3d"],
        ["status", REF, "--known-at", "3d", "--watch"],
        ["status", REF, "--until", "aproved"],
        ["status", "promotion-1", "--until", "retired"],
        ["status", "model:credit-risk", "--until", "approved"],
        ["status", REF, "--timeout", "5m"],
        ["status", REF, "--watch", "--timeout", "soon"],
        ["promote", REF],
        ["token", "issue", "ci", "--expires", "soon"],
        ["register", REF, "absent.bin"],
        ["register", REF, "--digest", "sha256:" + "0" * 64, "--set", "owner"],
        ["register", REF, "--digest", "sha256:" + "0" * 64, "--set", "nonsense=1"],
        ["register", REF, "--digest", "sha256:" + "0" * 64, "--set", "risk_tier=huge"],
        ["register", REF, "--digest", "sha256:" + "0" * 64, "--evidence", "sbom=absent.json"],
        ["register", REF, "--digest", "sha256:" + "0" * 64, "--evidence", "bill=/etc/hostname"],
        ["review", "reject", "p1", "--role", "security"],
        ["amend", REF],
    ],
)
def test_wrong_usage_exits_2_and_sends_nothing(server: FakeServer, hallmark: Hallmark, arguments: list[str]):
    server.will(httpx.Response(200, json={}))
    result = hallmark(*arguments)
    assert (result.exit_code, server.requests) == (2, [])
    assert "Error" in result.stderr


def test_metadata_comes_from_a_file_and_from_single_fields(server: FakeServer, hallmark: Hallmark, home: Path):
    (home / "m.toml").write_text('owner = "alice"\nallowed_uses = ["scoring"]\nretire_on = 2027-01-01T00:00:00Z\n')
    server.will(httpx.Response(200, json={"ref": REF}))
    fields = ["--set", "owner=bob", "--set", "allowed_uses=ranking", "--set", "licence=MIT"]
    result = hallmark("amend", REF, "--metadata", "m.toml", *fields)
    assert result.exit_code == 0, result.stderr
    assert server.sent["owner"] == "bob"
    assert server.sent["allowed_uses"] == ["scoring", "ranking"]
    assert server.sent["licence"] == "MIT"


def test_one_command_registers_with_evidence(server: FakeServer, hallmark: Hallmark, home: Path):
    (home / "bom.json").write_text('{"bomFormat": "CycloneDX"}')
    (home / "card.md").write_text("# Card")
    digest = "sha256:" + "0" * 64
    server.will(*(httpx.Response(200, json={"digest": name}) for name in (digest, "sha256:bom", "sha256:card")))
    documents = ["--evidence", "sbom=bom.json", "--evidence", "model_card=card.md"]
    result = hallmark("register", REF, "--digest", digest, *documents, "--json")
    assert json.loads(result.stdout)["evidence"] == ["sha256:bom", "sha256:card"]
    sent = [(request.url.params.get("type"), request.headers["content-type"]) for request in server.requests]
    assert sent[1:] == [("sbom", "application/json"), ("model_card", "application/octet-stream")]


@pytest.mark.parametrize(("allowed", "code"), [(True, 0), (False, 1), (None, 1), ("yes", 1)])
def test_admission_exits_0_only_for_a_plain_yes(server: FakeServer, hallmark: Hallmark, allowed: object, code: int):
    reasons = [{"rule": "approval", "detail": "not approved", "owner": "alice", "fix": "promote it"}]
    server.will(httpx.Response(200, json={"ref": REF, "allowed": allowed, "reasons": reasons}))
    result = hallmark("admission", "check", REF, "--for", "scoring", "--at", "2026-12-01T00:00Z")
    assert result.exit_code == code
    assert "promote it" in result.stdout
    assert server.requests[-1].url.params["at"] == "2026-12-01T00:00:00+00:00"


@pytest.mark.parametrize(("status", "code"), [("in_review", 0), ("approved", 0), ("refused", 1), ("rejected", 1)])
def test_promote_and_wait_exits_by_the_audits_outcome(server: FakeServer, hallmark: Hallmark, status: str, code: int):
    rule = {"rule": "sbom", "title": "It has an SBOM", "outcome": "fail", "mode": "enforce", "fix": "attach one"}
    server.will(
        httpx.Response(202, json={"promotion": "p1"}),
        httpx.Response(200, json={"promotion": "p1", "ref": REF, "status": status, "results": [rule]}),
    )
    result = hallmark("promote", REF, "--for", "scoring", "--wait")
    assert result.exit_code == code, result.stderr
    assert "attach one" in result.stdout


def test_login_keeps_the_token_for_its_owner_only(
    server: FakeServer, hallmark: Hallmark, home: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("HALLMARK_TOKEN")
    server.will(httpx.Response(200, json=WHO))
    result = hallmark("login", "--url", "http://h.test:1/", input="hmk_alice_1_2\n")
    assert result.exit_code == 0, result.stderr
    path = home / "config" / "hallmark" / "credentials.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {"url": "http://h.test:1", "token": "hmk_alice_1_2"}
    assert "hmk_" not in result.stdout
    monkeypatch.delenv("HALLMARK_URL")
    hallmark("whoami")
    assert server.requests[-1].url.host == "h.test"
    assert server.requests[-1].headers["authorization"] == "Bearer hmk_alice_1_2"


def test_login_says_as_whom_until_when_and_where_it_is_kept(server: FakeServer, hallmark: Hallmark, home: Path):
    server.will(httpx.Response(200, json={**WHO, "expires_at": "2027-03-01T00:00:00+00:00"}))
    result = hallmark("login", "--token-stdin", input="hmk_alice_1_2\n")
    assert result.exit_code == 0, result.stderr
    kept = str(home / "config" / "hallmark" / "credentials.json")
    for said in ("alice", "viewer", "2027-03-01", kept):
        assert said in result.stdout
    assert hallmark("login", "--token", "a", "--token-stdin", input="b\n").exit_code == 2


def test_logout_forgets_what_was_kept_and_sends_nothing(server: FakeServer, hallmark: Hallmark, home: Path):
    server.will(httpx.Response(200, json=WHO))
    hallmark("login", "--token-stdin", input="hmk_alice_1_2\n")
    sent = len(server.requests)
    assert [json.loads(hallmark("logout", "--json").stdout)["forgotten"] for _ in range(2)] == [True, False]
    assert not (home / "config" / "hallmark" / "credentials.json").exists()
    assert len(server.requests) == sent


def test_a_kept_token_is_never_sent_to_another_server(
    server: FakeServer, hallmark: Hallmark, monkeypatch: pytest.MonkeyPatch
):
    server.will(httpx.Response(200, json=WHO))
    hallmark("login", "--url", "http://h.test", "--token", "kept")
    monkeypatch.delenv("HALLMARK_TOKEN")
    hallmark("--url", "http://other.test", "whoami")
    assert server.requests[-1].url.host == "other.test"
    assert "authorization" not in server.requests[-1].headers


def test_the_environment_wins_over_what_was_kept(
    server: FakeServer, hallmark: Hallmark, monkeypatch: pytest.MonkeyPatch
):
    server.will(httpx.Response(200, json=WHO))
    hallmark("login", "--url", "http://h.test", "--token", "kept")
    monkeypatch.setenv("HALLMARK_URL", "http://h.test")
    monkeypatch.setenv("HALLMARK_TOKEN", "mine")
    hallmark("whoami")
    assert server.requests[-1].headers["authorization"] == "Bearer mine"


def test_a_token_that_the_server_refuses_is_not_kept(
    server: FakeServer, hallmark: Hallmark, refusing: Refusing, home: Path
):
    server.will(refusing(401, detail="unknown token"))
    assert hallmark("login", "--token", "x").exit_code == 1
    assert not (home / "config").exists()


@pytest.mark.parametrize(("text", "mode"), [("{", 0o600), ("[]", 0o600), ('{"url": "u", "token": "t"}', 0o644)])
def test_credentials_that_cannot_be_used_are_named(hallmark: Hallmark, home: Path, text: str, mode: int):
    path = home / "config" / "hallmark" / "credentials.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    path.chmod(mode)
    result = hallmark("whoami")
    assert result.exit_code == 1
    assert str(path) in result.stderr


def test_a_key_is_made_for_its_owner_only_and_made_known(server: FakeServer, hallmark: Hallmark, home: Path):
    server.will(httpx.Response(200, json=WHO), httpx.Response(201, json={"key_id": "k"}))
    made = json.loads(hallmark("key", "generate", "--register", "--json").stdout)
    assert stat.S_IMODE(Path(made["path"]).stat().st_mode) == 0o600
    assert server.sent == {"public_key": made["public_key"], "purpose": "review"}
    again = hallmark("key", "generate")
    assert again.exit_code == 1
    assert "exists already" in again.stderr


def test_where_nobody_watches_nothing_is_signed_without_yes(server: FakeServer, hallmark: Hallmark):
    payload = to_base64(canonical_json({"promotion": "p1", "role": "security", "outcome": "approve", "comment": ""}))
    server.will(httpx.Response(200, json={"payload_type": REVIEW, "payload": payload}))
    hallmark("key", "generate")
    result = hallmark("review", "approve", "p1", "--role", "security")
    assert (result.exit_code, len(server.requests)) == (2, 1)
    assert "--yes" in result.stderr


def test_what_an_outsider_wrote_does_not_steer_the_terminal(server: FakeServer, hallmark: Hallmark):
    letter = {
        "id": 1, "state": "open", "topic": "t", "record": "1", "consumer": "c", "reason": "\x1b[2J[red]gone\x07"
    }  # fmt: skip
    server.will(httpx.Response(200, json=[letter]))
    result = hallmark("dead-letters", "list")
    assert "\x1b" not in result.stdout
    assert "\\x1b[2J[red]gone\\x07" in result.stdout


@given(st.text())
def test_plain_text_is_printable(text: str):
    assert all(c.isprintable() or c == "\n" for c in plain(text))


def test_scan_exits_by_the_worst_verdict(hallmark: Hallmark, home: Path):
    (home / "models").mkdir()
    (home / "models" / "note.txt").write_text("hello")
    assert hallmark("scan", home / "models").exit_code == 0
    (home / "models" / "bad.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    result = hallmark("scan", home / "models", "--json")
    assert result.exit_code == 2
    assert {Path(r["path"]).name: r["verdict"] for r in json.loads(result.stdout)} == {
        "note.txt": "clean", "bad.pkl": "malicious"
    }  # fmt: skip


def test_events_and_settings_are_listed_without_a_server(hallmark: Hallmark):
    types = {row["type"] for row in json.loads(hallmark("events", "list", "--json").stdout)}
    assert "io.hallmark.version.registered.v1" in types
    assert json.loads(hallmark("settings", "show", "--json").stdout)["host"] == "127.0.0.1"


def test_a_setting_that_cannot_be_read_is_named_without_its_value(hallmark: Hallmark, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HALLMARK_PORT", "hunter2")
    result = hallmark("settings", "show")
    assert result.exit_code == 2
    assert "port" in result.stderr
    assert "hunter2" not in result.stderr


def test_secrets_among_the_settings_stay_hidden(hallmark: Hallmark, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HALLMARK_POSTGRES_DSN", "postgresql://u:hunter2@h/d")
    assert "hunter2" not in hallmark("settings", "show").stdout + hallmark("settings", "show", "--json").stdout


def test_commands_of_other_packages_are_loaded_when_used(hallmark: Hallmark, monkeypatch: pytest.MonkeyPatch):
    from importlib.metadata import EntryPoint

    def greet(name: str) -> None:
        """Say hello."""
        typer.echo(f"hello {name}")

    class Entry(EntryPoint):
        def load(self) -> object:
            return greet

    monkeypatch.setattr("hallmark.cli.base._extensions", lambda: {"greet": Entry("greet", "x:y", "hallmark.commands")})
    assert "greet" in hallmark("--help").stdout
    assert hallmark("greet", "bob").stdout == "hello bob\n"


@given(st.datetimes())
def test_a_time_without_offset_is_utc(naive: datetime):
    assert moment(naive.isoformat()) == naive.replace(tzinfo=UTC)


@given(st.integers(0, 10_000), st.sampled_from(["s", "m", "h", "d"]))
def test_a_span_is_from_now_on(number: int, unit: str):
    names = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    before = datetime.now(UTC)
    found = moment(f"{number}{unit}") - timedelta(**{names[unit]: number})
    assert before <= found <= datetime.now(UTC)


@given(st.text(max_size=20))
def test_any_other_text_is_no_time_and_no_crash(text: str):
    said = ""
    try:
        found: datetime | None = moment(text)
    except typer.BadParameter as error:
        found, said = None, str(error)
    assert found.tzinfo if found else "is no time" in said


def test_a_grant_is_taken_back_as_it_was_named(server: FakeServer, hallmark: Hallmark):
    server.will(httpx.Response(200, json={"account": "carl", "log_index": 7}))
    result = hallmark("account", "withdraw", "carl", "contributor", "model:credit-*")
    assert result.exit_code == 0, result.output
    asked = server.requests[-1]
    assert (asked.method, asked.url.path) == ("DELETE", "/v1/accounts/carl/grants")
    assert dict(asked.url.params) == {"role": "contributor", "assets": "model:credit-*"}


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("sbom", "'sbom' is not TYPE=FILE"),
        ("sbomm=bom.json", "'sbomm' is no type of evidence"),
        ("sbom=gone.json", "'gone.json' is no file"),
    ],
)
def test_what_is_wrong_with_evidence_is_said_before_anything_is_sent(
    server: FakeServer, hallmark: Hallmark, named: str, said: str
):
    result = hallmark("register", REF, "--digest", "sha256:" + "0" * 64, "--evidence", named)
    assert (result.exit_code, server.requests) == (2, [])
    assert said in result.stderr


@pytest.mark.parametrize(
    ("components", "problem", "told"),
    [
        (3, None, ["sbom", "pass", "3 components, 0 vulnerable"]),
        (0, None, ["sbom", "review", "0 components, 0 vulnerable"]),
        (0, "is no JSON", ["sbom", "fail", "is no JSON"]),
    ],
)
def test_status_tells_evidence_and_what_came_of_the_sbom(
    server: FakeServer, hallmark: Hallmark, components: int, problem: str | None, told: list[str]
):
    read = {"components": components, "vulnerable": 0, "problem": problem}
    refused = {"promotion": "p1", "status": "refused", "context": "lending/internal/any", "waiting_for": []}
    version = {"ref": REF, "state": "draft", "digest": "sha256:0", "dependencies": read, "promotions": [refused]}
    server.will(httpx.Response(200, json={**version, "evidence": [{"evidence_type": "sbom"}]}))
    lines = [re.split(r"\s{2,}", line.strip()) for line in hallmark("status", REF).stdout.splitlines()]
    assert told in lines
    assert ["evidence", "sbom"] in lines
    assert ["p1", "refused", "lending/internal/any"] in lines  # nobody is waited for: no [] either


def test_a_single_error_is_said_once(server: FakeServer, hallmark: Hallmark):
    problem = {"detail": "/kind: no", "errors": [{"field": "/kind", "message": "no"}], "fix": "do"}
    server.will(httpx.Response(400, json=problem))
    assert hallmark("account", "create", "bob").stderr.count("/kind: no") == 1


def test_a_field_that_there_is_not_is_told_so(server: FakeServer, hallmark: Hallmark):
    result = hallmark("register", REF, "--digest", "sha256:" + "0" * 64, "--set", "ownr=dana")
    assert (result.exit_code, server.requests) == (2, [])
    assert "ownr: there is no such field" in result.stderr
