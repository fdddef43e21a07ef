"""What the auditor is told about one version, beyond what the journey has."""

import io
from datetime import UTC, datetime

import asyncpg
import pytest
from conftest import Database
from hallmark_lifecycle.projections import SERVED
from integration.ledger.conftest import Ledger
from registry_core import projections
from registry_core.events.lifecycle import ExceptionExpired, ExceptionGranted, ExceptionRequested
from registry_core.events.promotions import PromotionApproved, PromotionOpened
from registry_core.events.versions import VersionRegistered
from registry_core.proofs.dsse import envelope_digest
from registry_core.proofs.pack import verify_pack
from registry_core.store import Append
from registry_core.values import Metadata, UseContext, promotion_stream
from support import new

REF, UNTIL = "model:credit@1.0.0", datetime(2027, 1, 1, tzinfo=UTC)


async def test_a_forged_decision_can_be_packed_and_the_pack_says_so(ledger: Ledger) -> None:
    """By whoever may append, and holds no key."""
    registered = VersionRegistered(
        ref=REF, digest="sha256:" + "0" * 64, files=(), metadata=Metadata(), registered_by="ci"
    )  # fmt: skip
    forged = PromotionApproved(
        promotion="p1", ref=REF, digest=registered.digest, context=UseContext(business_function="weapons"),
        environment="production", policy_digest=registered.digest, expires_at=UNTIL, decision_digest=registered.digest,
        envelope={"signatures": [{"keyid": "nobody's"}, 5]},
    )  # fmt: skip
    store = ledger.platform.store
    await store.append(Append(REF, [new(registered), new(PromotionOpened(ref=REF, promotion="p1"))], -1))
    await store.append(Append(promotion_stream("p1"), [new(forged)], -1))
    await ledger.seal()
    await ledger.sign()

    answer = await ledger.http.get(f"/v1/audit/versions/{REF}/pack")
    assert answer.status_code == 200, answer.text
    report = verify_pack(io.BytesIO(answer.content), trusted=[(await ledger.get("/v1/log/key"))["vkey"]])
    assert [problem.message for problem in report.problems] == [
        f"its decision has the digest {envelope_digest(forged.envelope)}, not {forged.decision_digest}"
    ]


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
