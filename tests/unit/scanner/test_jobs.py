"""Matching does not hold up what else the process serves."""

import asyncio
import json
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from hallmark_scanner import index, jobs

DIGEST = "sha256:" + "0" * 64
ADVISORY = {
    "id": "T-1",
    "modified": "2026-01-21T00:00:00Z",
    "affected": [{"package": {"ecosystem": "PyPI", "name": "demo"}, "versions": ["1.0"]}],
}
COMPONENT = index.Component("demo", "1.0", "pkg:pypi/demo@1.0", "library")


async def test_an_advisory_is_matched_in_a_thread_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    affected = jobs.affected

    def watched(*arguments: Any) -> Any:
        threads.append(threading.current_thread())
        return affected(*arguments)

    monkeypatch.setattr(jobs, "affected", watched)
    monkeypatch.setattr(index, "put_advisory", lambda *_: asyncio.sleep(0))
    monkeypatch.setattr(index, "users_of", lambda *_: asyncio.sleep(0, [index.Use("model:m@1.0.0", DIGEST, COMPONENT)]))
    objects: Any = SimpleNamespace(get=lambda _: asyncio.sleep(0, json.dumps(ADVISORY).encode()))
    pool: Any = None
    reader: Any = None
    effects = await jobs.ScannerJobs(pool, objects).match_advisory({"digest": DIGEST}, reader)
    assert len(effects) == 1
    assert threads
    assert threading.main_thread() not in threads
