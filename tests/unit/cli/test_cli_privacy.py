"""`hallmark privacy`: nobody is erased without being named twice."""

import httpx
import pytest
from unit.cli.fakes import FakeServer, Hallmark

ERASED = {"person": "p-00112233445566778899", "accounts": ["dana"], "bodies": [], "reason": "ticket 7", "log_index": 9}


def test_a_person_is_erased_once_they_are_named_again(server: FakeServer, hallmark: Hallmark):
    server.will(httpx.Response(200, json=ERASED))
    result = hallmark("privacy", "erase", "Dana Example", "--reason", "ticket 7", input="Dana Example\n")
    assert result.exit_code == 0, result.output
    assert server.sent == {"person": "Dana Example", "confirm": "Dana Example", "reason": "ticket 7"}
    assert "p-00112233445566778899" in result.stdout
    assert "hallmark privacy scrub" in result.output


@pytest.mark.parametrize("typed", ["Dana\n", "\n\n", ""])
def test_another_word_erases_nobody(server: FakeServer, hallmark: Hallmark, typed: str):
    result = hallmark("privacy", "erase", "Dana Example", "--reason", "ticket 7", input=typed)
    assert result.exit_code == 1
    assert server.requests == []


def test_a_customer_is_erased_by_their_id(server: FakeServer, hallmark: Hallmark):
    server.will(httpx.Response(200, json={"customer": "c-00112233445566778899", "reason": "r", "log_index": 3}))
    result = hallmark("privacy", "erase", "cust-7", "--customer", "--reason", "r", "--yes")
    assert result.exit_code == 0, result.output
    assert server.requests[-1].url.path == "/v1/privacy/customers/erase"
    assert server.sent["customer"] == server.sent["confirm"] == "cust-7"


def test_what_is_held_is_listed_and_no_name_is_in_an_address(server: FakeServer, hallmark: Hallmark):
    event = {"type": "io.hallmark.identity.roles-changed.v1", "occurred_at": "2026-11-28", "actor": "admin"}
    account = {"account": "dana", "name": "Dana Example", "display_name": "D.", "roles": [], "events": [event]}
    server.will(httpx.Response(200, json={"person": ERASED["person"], "accounts": [account]}))
    result = hallmark("privacy", "show", "Dana Example")
    assert "Dana Example" in result.stdout
    assert "roles-changed" in result.stdout
    assert "Dana" not in str(server.requests[-1].url)
