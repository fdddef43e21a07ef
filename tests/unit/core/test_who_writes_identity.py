"""Roles, tokens and policies change through events alone (mission J3), and through few hands: those named here."""

import ast
from pathlib import Path
from typing import Final

import pytest
from registry_core.events import governance
from registry_core.store import schema

ROOT: Final = Path(__file__).parents[3]
DECIDED: Final = {
    "RolesChanged", "RoleGranted", "RoleWithdrawn", "TokenIssued", "TokenRevoked", "AccountClosed", "AccountReopened",
    "PolicyActivated",
}  # fmt: skip
HANDS: Final = {
    "libs/registry_core/registry_core/events/governance.py": "brings older tokens to the newest version",
    "libs/registry_core/registry_core/identity.py": "makes a token, for those below",
    "libs/registry_core/registry_core/hammer/writers.py": "writes at random, into a database of its own",
    "libs/registry_core/registry_core/oidc/provisioning.py": "roles that an issuer says, where settings let it",
    "libs/hallmark/hallmark/cli/administrator.py": "the first administrator, and the way back in, on the machine",
    "services/ingestion/hallmark_ingestion/routes/identity.py": "administrators",
    "services/ingestion/hallmark_ingestion/routes/tokens.py": "administrators",
    "services/ingestion/hallmark_ingestion/erasure.py": "administrators: a person's accounts are shut",
    "services/approval/hallmark_approval/routes/policies.py": "managers",
    "services/approval/hallmark_approval/bootstrap.py": "the pack that comes with a new installation",
}


def made_in(path: Path) -> set[str]:
    """Which of these events a module makes."""
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return {call.id for call in calls if isinstance(call, ast.Name)} & DECIDED


def test_the_events_are_made_by_those_named_and_nobody_else() -> None:
    assert all(hasattr(governance, name) for name in DECIDED)
    modules = [*ROOT.glob("libs/*/*/**/*.py"), *ROOT.glob("services/*/hallmark_*/**/*.py")]
    found = {str(path.relative_to(ROOT)): made for path in modules if (made := made_in(path))}
    assert set(found) <= set(HANDS), "say who may, and why; or leave it to those who do"
    assert set().union(*found.values()) == DECIDED


@pytest.mark.parametrize("subject", ["role", "token", "grant", "policy", "policies", "account"])
def test_no_table_holds_what_the_events_say(subject: str) -> None:
    """`work.token_use` tells when a token was used, and opens nothing; `privacy.accounts` whose an account is."""
    created = [
        line.split("(")[0].split()[-1]
        for script in schema.scripts().values()
        for line in script.lower().splitlines()
        if line.strip().startswith("create table")
    ]
    assert created
    assert {table for table in created if subject in table} <= {"work.token_use", "privacy.accounts"}
