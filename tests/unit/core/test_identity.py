"""Tokens and roles: denied unless something allows it."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registry_core.access import ACTIONS
from registry_core.events.governance import AccountCreated, RolesChanged, TokenRevoked
from registry_core.handlers import fold
from registry_core.identity import Account, BearerToken, new_token
from registry_core.store.memory import MemoryEventStore
from support import NOW, record

CREATED = AccountCreated(account="alice", kind="human", person="alice")


async def account(*events: object) -> Account:
    return fold(Account(), await record(MemoryEventStore(), "account:alice", CREATED, *events))  # type: ignore[arg-type]  # events of several types


async def test_a_token_opens_its_account() -> None:
    text, issued = new_token("alice")
    token = BearerToken.parse(text)
    assert token is not None
    assert (await account(issued)).accepts(token, NOW)


async def test_a_token_expires_at_its_hour() -> None:
    text, issued = new_token("alice", expires_at=NOW)
    token = BearerToken.parse(text)
    assert token is not None
    state = await account(issued)
    assert state.accepts(token, NOW - timedelta(microseconds=1))
    assert not state.accepts(token, NOW)


async def test_a_revoked_token_opens_nothing() -> None:
    text, issued = new_token("alice")
    token = BearerToken.parse(text)
    assert token is not None
    state = await account(issued, TokenRevoked(account="alice", token_id=issued.token_id))
    assert not state.accepts(token, NOW)


async def test_another_secret_under_a_known_id_opens_nothing() -> None:
    text, issued = new_token("alice")
    forged = BearerToken.parse(text[:-1] + ("0" if text[-1] != "0" else "1"))
    assert forged is not None
    assert not (await account(issued)).accepts(forged, NOW)


@given(st.text(max_size=300))
def test_no_text_breaks_the_parser(text: str) -> None:
    parsed = BearerToken.parse(text)
    assert parsed is None or text.startswith("hmk_")


@given(
    st.sets(st.sampled_from(["viewer", "contributor", "manager", "admin", "auditor", "reviewer:security", "root"])),
    st.text(),
)
async def test_only_named_roles_allow_only_named_actions(roles: set[str], action: str) -> None:
    state = await account(RolesChanged(account="alice", roles=tuple(roles)))
    allowed = {role.split(":")[0] for role in roles} & ACTIONS.get(action, frozenset())
    assert state.may(action) is bool(allowed)


@pytest.mark.parametrize("action", ["review", "except:grant", "policy"])
async def test_administrators_have_no_bypass(action: str) -> None:
    assert not (await account(RolesChanged(account="alice", roles=("admin",)))).may(action)


async def test_the_secret_itself_is_in_no_event() -> None:
    text, issued = new_token("alice")
    assert text.rsplit("_", 1)[1] not in issued.encode().decode()
