"""Every command speaks JSON to machines: one document on standard output, or one line about the error on the other."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from hallmark.cli import app
from registry_core.proofs.keys import generate_key
from typer.main import get_command
from unit.cli.fakes import FakeServer, Hallmark, Refusing

REF: Final = "model:credit-risk@1.0.0"
WITHOUT: Final = {
    "up": "runs until Ctrl-C and speaks to the person who started it",
    "serve": "runs until SIGTERM; its log is JSON",
}
OWN_WORK: Final = {
    "migrate", "doctor", "backup", "restore", "hammer", "scan", "privacy scrub", "artifacts collect", "settings show",
    "events list", "audit verify", "logout",
}  # fmt: skip
"""Without a server that could answer; each has a test of its own that reads its JSON."""
LONGER: Final = {
    "review approve",
    "review reject",
    "review remediate",
    "download",
    "audit pack",
    "audit export",
    "import",
}
"""More than one answer of a server makes them succeed; likewise."""
ARGUMENTS: Final = {
    "ref": REF, "what": REF, "asset": "model:credit-risk", "alias": "champion", "path": "file.json",
    "file": "file.json", "promotion": "p1", "account": "alice", "letter": "1", "who": "bob", "person": "bob",
    "exception": "e1", "token_id": "t1", "evidence_type": "sbom", "kind": "mlflow", "name": "baseline", "table": "t",
}  # fmt: skip
OPTIONS: Final = {
    "--for": "scoring", "--reason": "why", "--cause": "why", "--role": "security", "--comment": "c", "--rule": "sbom",
    "--expires": "30d", "--customer": "c1", "--at": "2026-01-01", "--claim": "ref=main",
}  # fmt: skip
MORE: Final = {
    "register": ["--digest", "sha256:" + "0" * 64], "amend": ["--set", "owner=alice"], "alias protect": ["--none"],
    "account roles": ["--none"], "privacy erase": ["--yes"], "projections rebuild": ["--no-wait"],
    "projections switch": ["--no-wait"], "login": ["--token", "t"],
    "review approve": ["--yes"], "review reject": ["--yes", "--comment", "c"],
    "review remediate": ["--yes", "--comment", "c"],
    "source credential": ["--remove"],
    "key register": ["--public-key", "AAAA"], "key generate": ["new.pem", "--register"],
}  # fmt: skip
ANSWER: Final[dict[str, Any]] = {
    "ref": REF, "digest": "sha256:0", "account": "alice", "roles": [], "allowed": True, "promotion": "p1",
    "status": "approved", "file": "file.json", "table": "t", "name": "baseline", "rows": [],
    "projections": [{"table": "t", "name": "baseline"}], "token": "t",
    "token_id": "t1", "key_id": "k", "exception": "e1", "log_index": 1, "letters": [], "files": [],
    "origin": "o", "vkey": "v", "keys": [], "handovers": [], "ok": True, "sources": [],
}  # fmt: skip


LISTS: Final = {("GET", path) for path in ("/v1/dead-letters", "/v1/sources", "/v1/sources/baseline/deliveries")}
"""Routes that answer with an array."""


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command of this package by its words."""
    found = command or get_command(app)
    if not hasattr(found, "commands"):
        yield " ".join(path), found
        return
    for name, inner in found.commands.items():
        yield from commands(inner, (*path, name))


def line_of(name: str, command: Any) -> list[str]:
    """A command line that says what is required."""
    words = name.split()
    for parameter in command.params:
        if parameter.param_type_name == "argument" and (parameter.required or parameter.name in ("name", "account")):
            words.append(ARGUMENTS.get(parameter.name, "1"))
        elif parameter.required:
            words += [parameter.opts[0], OPTIONS.get(parameter.opts[0], "1")]
    return [*words, *MORE.get(name, []), "--json"]


REMOTE = [pytest.param(*found, id=found[0]) for found in commands() if found[0] not in OWN_WORK | set(WITHOUT)]


def test_every_command_has_the_option_or_a_reason():
    without = {name for name, command in commands() if "--json" not in {o for p in command.params for o in p.opts}}
    assert without == set(WITHOUT)


@pytest.fixture(autouse=True)
def what_commands_read(home: Path) -> None:
    (home / "file.json").write_text("{}")
    (home / "config" / "hallmark").mkdir(parents=True, mode=0o700)
    generate_key(home / "config" / "hallmark" / "review.pem")


@pytest.mark.parametrize(("name", "command"), REMOTE)
def test_a_refusal_is_one_line_of_json(
    server: FakeServer, hallmark: Hallmark, refusing: Refusing, name: str, command: Any
):
    server.will(refusing(403, detail="you may not", fix="ask"))
    result = hallmark(*line_of(name, command))
    assert (result.exit_code, result.stdout) == (1, ""), result.stderr
    (line,) = result.stderr.splitlines()
    assert json.loads(line)["fix"] == "ask"


@pytest.mark.parametrize(("name", "command"), REMOTE)
def test_no_answer_is_one_line_of_json_and_exits_3(server: FakeServer, hallmark: Hallmark, name: str, command: Any):
    server.will(httpx.ConnectError("refused"))
    result = hallmark(*line_of(name, command))
    assert (result.exit_code, result.stdout) == (3, ""), result.stderr
    (line,) = result.stderr.splitlines()
    assert json.loads(line)["title"] == "Unreachable"


@pytest.mark.parametrize(("name", "command"), [case for case in REMOTE if case.id not in LONGER])
def test_success_is_one_document(server: FakeServer, hallmark: Hallmark, name: str, command: Any):
    server.will(lambda request: httpx.Response(200, json=[] if (request.method, request.url.path) in LISTS else ANSWER))
    result = hallmark(*line_of(name, command))
    assert (result.exit_code, result.stderr) == (0, ""), result.exception
    json.loads(result.stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "modl:m"], ["status"], ["nonsense"], ["status", REF, "--nonsense"], ["status", REF, "more"],
        ["alias"],
        ["status", REF, "--until", "aproved"], ["register", REF, "absent.bin"], ["amend", REF],
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line_of_json_and_exits_2(server: FakeServer, hallmark: Hallmark, arguments: list[str]):
    result = hallmark(*arguments, "--json")
    assert (result.exit_code, result.stdout, server.requests) == (2, "", [])
    (line,) = result.stderr.splitlines()
    assert {"detail", "fix"} <= set(json.loads(line))
