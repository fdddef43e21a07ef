"""What the auditor is told about one version, beyond what the journey has."""

from datetime import UTC, datetime

import asyncpg
import pytest
from conftest import Database
from hallmark_lifecycle.projections import SERVED
from integration.ledger.conftest import Ledger
from registry_core import projections
from registry_core.events.lifecycle import ExceptionExpired, ExceptionGranted, ExceptionRequested
from registry_core.events.versions import VersionRegistered
from registry_core.store import Append
from registry_core.values import Metadata
from support import new

REF, UNTIL = "model:credit@1.0.0", datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
async def served(database: Database) -> None:
    """The view of what served whom, which the lifecycle service fills."""
    owner = await asyncpg.connect(database.owner_dsn)
    await projections.install(owner, [SERVED])
    await owner.close()


async def test_exceptions_are_told_from_request_to_end_with_their_persons_and_places(ledger: Ledger) -> None:
    registered = VersionRegistered(
        ref=REF, digest="sha256:" + "0" * 64, files=(), metadata=Metadata(), registered_by="ci"
    )  # fmt: skip
    asked = ExceptionRequested(
        ref=REF, exception="e1", rule="no-critical-vulnerability", finding="CVE-2026-1", reason="not reachable",
        requested_by="dana", expires_at=UNTIL,
    )  # fmt: skip
    granted = ExceptionGranted(ref=REF, exception="e1", granted_by="mia", person="Mia")
    ended = ExceptionExpired(ref=REF, exception="e1")
    await ledger.platform.store.append(Append(REF, [new(data) for data in (registered, asked, granted, ended)], -1))
    await ledger.seal()

    told = (await ledger.get(f"/v1/audit/versions/{REF}"))["exceptions"]

    assert [item["event"].split(".")[-2] for item in told] == ["requested", "granted", "expired"]
    assert told[0]["rule"] == "no-critical-vulnerability"
    assert (told[0]["finding"], told[0]["requested_by"], told[1]["granted_by"]) == ("CVE-2026-1", "dana", "mia")
    assert datetime.fromisoformat(told[0]["expires_at"]) == UNTIL
    first = told[0]["log_index"]
    assert [item["log_index"] for item in told] == [first, first + 1, first + 2]
