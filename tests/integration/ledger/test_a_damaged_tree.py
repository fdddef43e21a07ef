"""Hashes taken out of the stored tree stop signing, not the process: whoever verifies needs an answer."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hallmark_ledger.witnessing import Delivery
from integration.ledger.conftest import Ledger
from registry_core.settings import Settings
from registry_core.store.sealer import Sealer
from registry_core.witnesses import open_witness
from structlog.testing import capture_logs
from support import until
from support_log import append

STOPS = {"nothing is signed", "the log cannot be compared with a witness"}


async def told(logs: list[Any]) -> bool:
    return {entry["event"] for entry in logs} >= STOPS


@pytest.mark.timeout(60)
async def test_a_dropped_event_stops_signing_until_it_is_back_and_is_named_meanwhile(
    ledger: Ledger, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    await ledger.append(10)
    held = await ledger.sign()
    witness = open_witness((tmp_path / "kept").as_uri(), Settings())
    assert await Delivery(ledger.platform, witness).deliver()
    await ledger.append(1)
    await owner.execute("set session_replication_role = replica")
    await owner.execute("create table public.dropped as select * from log.sealed where log_index = 12")
    await owner.execute("delete from log.sealed where log_index = 12")
    await ledger.platform.store.append(append("late"))

    delivery = Delivery(ledger.platform, open_witness(witness.url, Settings()))
    runs: list[Awaitable[None]] = [Sealer(ledger.platform.ledger, 4).run(), ledger.checkpointer.run(), delivery.run()]
    with capture_logs() as logs:
        tasks = [asyncio.ensure_future(run) for run in runs]
        try:
            await until(lambda: told(logs))
            assert not any(task.done() for task in tasks)
            assert [finding.first for finding in (await ledger.audit(held)).findings] == [12]
            await owner.execute("insert into log.sealed select * from public.dropped")
            await asyncio.wait_for(delivery.heard.wait(), 20)
            assert (await ledger.audit(held)).ok
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
