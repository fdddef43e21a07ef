"""`hallmark projections`: what is asked, what is said, and when a command gives up."""

import json
from typing import Any

import httpx
import pytest
from hallmark.cli import projections
from unit.cli.fakes import FakeServer, Hallmark, Refusing

TABLE = {
    "name": "findings", "table": "findings__v1_g2", "version": 1, "generation": 2, "state": "building", "lag": 90,
    "switch_when_ready": False, "log_index": 9, "head": 99, "bytes": 8192, "begun_at": "2026-11-28T07:00:00Z",
    "ready_at": None, "live_since": None, "problem": None,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projections, "_POLL", 0.0)


def table(**changes: Any) -> httpx.Response:
    return httpx.Response(202, json={**TABLE, **changes})


def tables(**changes: Any) -> httpx.Response:
    return httpx.Response(200, json={"projections": [{**TABLE, **changes}]})


def test_list_shows_table_version_state_and_lag(server: FakeServer, hallmark: Hallmark) -> None:
    server.will(tables())
    shown = hallmark("projections", "list").stdout
    for part in ("findings__v1_g2", "building", "90"):
        assert part in shown
    assert json.loads(hallmark("projections", "list", "findings", "--json").stdout) == [TABLE]
    assert server.requests[-1].url.path == "/v1/projections/findings"


def test_rebuild_stays_until_the_table_is_ready_and_says_what_comes_next(
    server: FakeServer, hallmark: Hallmark
) -> None:
    server.will(table(), tables(log_index=50), tables(log_index=99, lag=0, state="ready"))
    result = hallmark("projections", "rebuild", "findings")
    assert result.exit_code == 0, result.output
    assert "hallmark projections switch findings" in result.stdout
    assert json.loads(server.requests[0].content) == {"switch": False}


def test_rebuild_with_switch_stays_until_it_is_shown(server: FakeServer, hallmark: Hallmark) -> None:
    server.will(table(), tables(state="ready", lag=0), tables(state="live", lag=0))
    result = hallmark("projections", "rebuild", "findings", "--switch", "--json")
    assert json.loads(result.stdout)["state"] == "live"
    assert json.loads(server.requests[0].content) == {"switch": True}


def test_without_waiting_it_is_only_asked_for(server: FakeServer, hallmark: Hallmark) -> None:
    server.will(table())
    assert "90 events behind" in hallmark("projections", "rebuild", "findings", "--no-wait").stdout
    assert len(server.requests) == 1


def test_switch_can_name_a_table(server: FakeServer, hallmark: Hallmark) -> None:
    server.will(table(), tables(state="live", lag=0))
    result = hallmark("projections", "switch", "findings", "--table", "findings__v1")
    assert "views.findings shows findings__v1_g2" in result.stdout
    assert json.loads(server.requests[0].content) == {"table": "findings__v1"}


def test_a_table_that_cannot_be_built_ends_the_command_with_the_reason(server: FakeServer, hallmark: Hallmark) -> None:
    server.will(table(), tables(problem="value too long"))
    result = hallmark("projections", "rebuild", "findings")
    assert result.exit_code == 1
    assert "value too long" in result.stderr
    assert "projections drop findings findings__v1_g2" in result.stderr


def test_a_table_that_nobody_builds_ends_the_command_with_what_to_look_at(
    server: FakeServer, hallmark: Hallmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projections, "_PATIENCE", 0.0)
    server.will(table(), tables())
    result = hallmark("projections", "rebuild", "findings")
    assert result.exit_code == 1
    assert "see that a service runs that has version 1 of findings" in result.stderr


def test_a_table_dropped_meanwhile_ends_the_command(server: FakeServer, hallmark: Hallmark) -> None:
    server.will(table(), httpx.Response(200, json={"projections": []}))
    result = hallmark("projections", "rebuild", "findings")
    assert (result.exit_code, "was dropped meanwhile" in result.stderr) == (1, True)


def test_drop_names_the_table(server: FakeServer, hallmark: Hallmark, refusing: Refusing) -> None:
    server.will(table())
    assert "findings__v1 is gone" in hallmark("projections", "drop", "findings", "findings__v1").stdout
    assert (server.requests[-1].method, server.requests[-1].url.path) == (
        "DELETE",
        "/v1/projections/findings/tables/findings__v1",
    )
    server.will(refusing(409, detail="findings__v1 is what views.findings shows", fix="switch first"))
    assert "Next:  switch first" in hallmark("projections", "drop", "findings", "findings__v1").stderr
