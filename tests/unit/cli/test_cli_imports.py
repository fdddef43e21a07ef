"""`hallmark import`, and `hallmark source drift`."""

import json
from typing import Any

import httpx
from unit.cli.fakes import FakeServer, Hallmark

NUMBER = "3c7f4a2e-0000-4000-8000-000000000001"


def stage(state: str, **more: Any) -> httpx.Response:
    found = {"id": NUMBER, "state": state, "ref": "", "bytes_stored": 0, "reason": None, "fix": None, "commit": None}
    return httpx.Response(202 if state == "waiting" else 200, json={**found, **more})


def test_an_import_is_asked_for_and_waited_for(server: FakeServer, hallmark: Hallmark):
    done = {"ref": "model:minilm@1.0.0", "digest": "sha256:0", "commit": "c" * 40, "bytes_stored": 7}
    server.will(stage("waiting"), stage("done", **done))
    result = hallmark("import", "hf://org/minilm@v1.0.0", "--as", "model:minilm@1.0.0", "--source", "hub")
    assert result.exit_code == 0, result.output
    assert "Registered model:minilm@1.0.0 with sha256:0" in result.stdout
    asked, waited = server.requests
    assert (asked.method, asked.url.path) == ("POST", "/v1/imports")
    assert json.loads(asked.content) == {
        "url": "hf://org/minilm@v1.0.0",
        "ref": "model:minilm@1.0.0",
        "source": "hub",
    }
    assert waited.url.path == f"/v1/imports/{NUMBER}"


def test_its_end_is_one_document_for_machines(server: FakeServer, hallmark: Hallmark):
    server.will(stage("waiting"), stage("done", ref="model:minilm@1.0.0", digest="sha256:0"))
    assert json.loads(hallmark("import", "hf://org/minilm", "--json").stdout)["ref"] == "model:minilm@1.0.0"


CONFIG = {
    "base_model": [{"repository": "org/other", "revision": None}], "model_type": "bert", "architectures": [],
    "dtype": None, "custom_code": {"config.json": {"AutoModel": "modeling_x.Model"}}, "problems": ["told once"],
}  # fmt: skip
CLAIMS = {
    "licence": "mit", "base_model": ["org/base"], "datasets": [], "metrics": [], "results": [], "missing": ["datasets"],
    "code_files": ["modeling_x.py"], "problems": [], "contradictions": ["two bases"], "config": CONFIG,
}  # fmt: skip


def test_what_card_and_configuration_claim_is_read_in_one_place(server: FakeServer, hallmark: Hallmark):
    link = {"repository": "org/base", "revision": None, "ref": None, "why": "several"}
    done = {"ref": "model:m@1.0.0", "digest": "sha256:0", "claims": CLAIMS, "lineage": [link]}
    server.will(stage("waiting"), stage("done", **done))
    told = hallmark("import", "hf://org/m").stdout
    for text in ("org/other", "modeling_x.Model", "base model org/base: a claim (several)", "two bases", "told once"):
        assert text in told


def test_a_refused_import_ends_with_its_reason_and_the_next_step(server: FakeServer, hallmark: Hallmark):
    server.will(stage("waiting"), stage("refused", reason="org/x is gated", fix="accept its conditions"))
    result = hallmark("import", "hf://org/x")
    assert result.exit_code == 1
    assert "org/x is gated" in result.stderr
    assert "accept its conditions" in result.stderr


def test_whoever_does_not_wait_hears_how_to_go_on(server: FakeServer, hallmark: Hallmark):
    server.will(stage("waiting"))
    result = hallmark("import", "hf://org/x", "--no-wait")
    assert (result.exit_code, len(server.requests)) == (0, 1)
    assert NUMBER in result.stdout


def test_drift_is_listed_in_sentences(server: FakeServer, hallmark: Hallmark):
    row = {"found_at": "2026-11-28T12:00:00Z", "ref": "model:m@1.0.0", "sentence": "In nightly m: description is gone"}
    server.will(httpx.Response(200, json={"view": "external_drift", "rows": [row], "log_index": 7}))
    result = hallmark("source", "drift", "nightly")
    assert result.exit_code == 0, result.output
    assert "In nightly m: description is gone" in result.stdout
    request = server.requests[-1]
    assert (request.url.path, request.url.params["source"]) == ("/v1/views/external_drift", "nightly")
