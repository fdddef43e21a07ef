"""The whole journey, on real PostgreSQL, a real broker and real HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hallmark.cli.administrator import first_token
from hallmark_demo.journey import Outcome, Site, run_journey
from registry_core.runtime import run_services
from registry_core.service import ALL, Platform
from registry_core.settings import Settings
from rich.console import Console

pytestmark = [pytest.mark.e2e, pytest.mark.messaging]


@asynccontextmanager
async def site(settings: Settings) -> AsyncIterator[Site]:
    ready: asyncio.Future[Site] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()

    async def started(platform: Platform, port: int) -> None:
        token = await first_token(platform)
        ready.set_result(Site(f"http://127.0.0.1:{port}", token or "", settings.kafka_bootstrap))

    running = asyncio.create_task(run_services(settings, ALL, started, stop))
    await asyncio.wait([ready, running], return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        await running
    try:
        yield ready.result()
    finally:
        stop.set()
        await running


REFUSALS = {
    "a pickle that would run a command": "scan-clean",
    "a version without SBOM": "sbom-present",
    "an open critical vulnerability": "no-critical-vulnerability",
    "a prompt changed after the evaluation": "evaluations-fresh",
    "an approval by the person who registered it": "four-eyes",
    "promotion with the new advisory": "no-critical-vulnerability",
}
ADMISSIONS = {
    "approved context": True,
    "another context": False,
    "what serves keeps serving": True,
    "after expiry": False,
    "after retirement": False,
}


@pytest.mark.timeout(240)
async def test_the_journey(settings: Settings, tmp_path: Path) -> None:
    async with site(settings) as place:
        outcome = await asyncio.to_thread(run_journey, place, tmp_path, Console(quiet=True))
    for what, rule in REFUSALS.items():
        assert rule in outcome.refusals[what]
    assert outcome.admissions == ADMISSIONS
    assert outcome.clocks == 1
    assert outcome.served["served"][0]["ref"] == outcome.approved == "model:progression-classifier@1.0.0"
    _check_audit(outcome)
    assert outcome.verified
    assert (outcome.verified.ok, outcome.verified.first_use, outcome.verified.decisions) == (True, False, 1)
    assert outcome.tampered
    assert outcome.tampered.problems[0].line > 1


def _check_audit(outcome: Outcome) -> None:
    approvals = [(r["role"], r["reviewer"]) for r in outcome.audit["reviews"] if r.get("outcome") == "approve"]
    assert approvals == [("platform", "pat"), ("product", "paula"), ("security", "sam")]
    ran = {check["event"] for check in outcome.audit["checks"]}
    assert {"io.hallmark.evidence.artifact-scanned.v1", "io.hallmark.promotion.policy-evaluated.v1"} <= ran
    assert sum(row["requests"] for row in outcome.audit["served"]) == 40
