"""The hammer holds the log to its promises, and finds what breaks them."""

import shutil
from pathlib import Path
from typing import Final

import pytest
from registry_core.hammer import Options, Outcome, hammer

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

REJECTED: Final = Path(__file__).parents[2] / "bench" / "rejected"
SEED: Final = 7


async def run(seconds: float, sql: str = "", *, disturbed: bool) -> Outcome:
    outcome = await hammer(Options(seconds, SEED, writers=16, disturbed=disturbed, sql=sql))
    if outcome.folder:
        assert (outcome.folder / "postgres").is_dir(), "the data is kept for whoever looks for the reason"
        shutil.rmtree(outcome.folder, ignore_errors=True)
    return outcome


async def test_kills_and_restarts_break_nothing() -> None:
    outcome = await run(20, disturbed=True)
    assert outcome.ok, outcome.findings
    assert outcome.sealed == outcome.counts["events"] > 100
    assert outcome.proofs > 0
    for kind in ("backends ended", "sealers killed", "servers stopped", "send again", "roll back", "transact"):
        assert outcome.counts[kind], kind


async def test_a_position_watermark_is_found_to_lose_events() -> None:
    outcome = await run(60, (REJECTED / "position_watermark.sql").read_text(), disturbed=False)
    assert set(outcome.findings.counts) & {"acknowledged and never sealed", "stream out of order"}
    assert outcome.seconds < 60 + 30, "it stops at the first finding"
