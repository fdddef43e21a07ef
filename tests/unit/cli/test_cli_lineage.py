"""The tree that `hallmark lineage` draws, and what it asks for."""

import json
from typing import Any

import httpx
from unit.cli.fakes import FakeServer, Hallmark

MODEL, BASE, DATA, TONE = "model:m@1.0.0", "model:base@1.0.0", "dataset:d@1.0.0", "adapter:tone@1.0.0"


def node(ref: str, up: int | None, down: int | None, state: str | None = "approved") -> dict[str, Any]:
    return {"ref": ref, "up": up, "down": down, "state": state, "owner": None, "kind": ref.partition(":")[0]}


def edge(dependant: str, depends_on: str, relation: str, newer: str | None = None) -> dict[str, Any]:
    return {"dependant": dependant, "depends_on": depends_on, "relation": relation, "newer": newer, "uses": []}


CHANGED = edge(BASE, DATA, "dataset", "dataset:d@1.1.0")
FOUND = {
    "ref": MODEL, "direction": "both", "depth": None,
    "nodes": [node(MODEL, 0, 0), node(BASE, 1, None, "deprecated"), node(DATA, 1, None, None), node(TONE, None, 1)],
    "edges": [edge(MODEL, BASE, "base_model"), edge(MODEL, DATA, "dataset"), CHANGED, edge(TONE, MODEL, "base_model")],
    "outdated": [CHANGED], "complete": False,
    "cut": [{"direction": "down", "because": "limit", "detail": "more than 1 were found", "fix": "raise limit"}],
}  # fmt: skip


def test_both_ways_are_drawn_each_version_once(server: FakeServer, hallmark: Hallmark):
    server.will(httpx.Response(200, json=FOUND))
    result = hallmark("lineage", MODEL)
    assert result.exit_code == 0
    assert [line.rstrip() for line in result.stdout.splitlines()] == [
        "model:m@1.0.0 approved (made of)",
        "├── model:base@1.0.0 deprecated (base_model)",
        "│   └── dataset:d@1.0.0 (dataset, shown elsewhere)",
        "└── dataset:d@1.0.0 not registered (dataset)",
        "model:m@1.0.0 approved (used by)",
        "└── adapter:tone@1.0.0 approved (base_model)",
        "dataset:d@1.1.0 followed dataset:d@1.0.0, which model:base@1.0.0 depends on",
        "Not all is shown (down): more than 1 were found; raise limit",
    ]
    assert dict(server.requests[-1].url.params) == {"direction": "both", "limit": "1000"}


def test_one_way_and_a_depth_are_asked_for(server: FakeServer, hallmark: Hallmark):
    server.will(httpx.Response(200, json={**FOUND, "cut": []}))
    result = hallmark("lineage", MODEL, "--up", "--depth", "2", "--json")
    assert json.loads(result.stdout)["ref"] == MODEL
    assert dict(server.requests[-1].url.params) == {"direction": "up", "depth": "2", "limit": "1000"}
    assert server.requests[-1].url.path == f"/v1/versions/{MODEL}/lineage"


def test_a_name_that_steers_a_terminal_is_shown_not_obeyed(server: FakeServer, hallmark: Hallmark):
    bad = {**node("model:m@1.0.0", 0, 0), "state": "\x1b[31mapproved"}
    server.will(httpx.Response(200, json={**FOUND, "nodes": [bad], "edges": [], "outdated": [], "cut": []}))
    assert "\x1b" not in hallmark("lineage", MODEL).stdout
