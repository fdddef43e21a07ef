"""`status --watch` follows what the server tells, and ends as what it waits for ends."""

import asyncio
import json
import os
import pty
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, get_args

import pytest
from registry_core.settings import Settings
from support import served
from support_breaking import breaking_proxy
from support_pipeline import HALLMARK, REF, SERVICES, Pipeline, ended, pipeline, staffed
from support_sdk import Kind, connect


@pytest.fixture
async def place(settings: Settings, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with pipeline(settings, tmp_path) as found:
        yield found


async def line_with(process: Process, **wanted: Any) -> dict[str, Any]:
    """The next line of JSON that has these members."""
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while line := await process.stdout.readline():
            found: dict[str, Any] = json.loads(line)
            if wanted.items() <= found.items():
                return found
    raise AssertionError(f"ended without {wanted}")


async def test_it_ends_with_0_once_the_version_is_what_was_waited_for(place: Pipeline):
    await place.registered()
    watching = await place.start("status", REF, "--watch", "--until", "approved", "--timeout", "1m", "--json")
    assert (await line_with(watching, state="draft"))["promotions"] == []
    promotion = await place.promoted()
    await line_with(watching, state="candidate")
    await place.review(promotion)
    await line_with(watching, state="approved")
    assert await ended(watching) == (0, "", "")


async def test_a_promotion_that_people_reject_ends_it_with_4_and_says_what_to_do(place: Pipeline):
    await place.registered()
    promotion = await place.promoted()
    watching = await place.start("status", promotion, "--until", "approved", "--json")
    await line_with(watching, status="in_review")
    await place.review(promotion, "reject")
    await line_with(watching, status="rejected")
    code, _, err = await ended(watching)
    assert code == 4
    assert json.loads(err)["fix"].startswith(f"look at why with `hallmark status {promotion}`")


async def test_a_version_whose_promotion_the_audit_refused_ends_it_with_4(place: Pipeline):
    await place.registered()
    promotion = await place.promoted(use="marketing")
    code, _, err = await place.run("status", REF, "--until", "approved", "--timeout", "30s")
    assert (code, promotion in err, "Next:" in err) == (4, True, True)


async def test_asked_again_at_once_the_former_refusal_does_not_count(place: Pipeline):
    await place.registered()
    await place.promoted(use="marketing")
    async with place.client() as hallmark:
        again = await hallmark.request_promotion(REF, {"business_function": "support"})
    index = str(again["log_index"])
    watching = await place.start("status", REF, "--until", "approved", "--at-least", index, "--json")
    await line_with(watching, state="candidate")
    await place.review(again["promotion"])
    assert (await ended(watching))[0] == 0


async def test_it_ends_with_5_when_the_time_is_over(place: Pipeline):
    await place.registered()
    code, out, err = await place.run("status", REF, "--until", "approved", "--timeout", "0")
    assert (code, "draft" in out) == (5, True)
    assert "is draft, not approved, after 0 s" in err


async def test_what_never_comes_about_is_wrong_usage(place: Pipeline):
    for what in (REF, "no-promotion", "prompt:answer"):
        code, _, err = await place.run("status", what, "--until", "aproved")
        assert code == 2, err


async def test_it_goes_on_when_the_server_was_restarted(settings: Settings, tmp_path: Path):
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with AsyncExitStack() as all_along:
        async with served(alone, SERVICES) as (platform, url):
            proxy = await all_along.enter_async_context(breaking_proxy(url))
            place = await all_along.enter_async_context(staffed(platform, proxy.url, tmp_path))
            await place.registered()
            watching = await place.start("status", REF, "--until", "approved", "--json")
            await line_with(watching, state="draft")
        async with served(alone, SERVICES) as (_, url):
            proxy.move(url)
            await place.review(await place.promoted())
            await line_with(watching, state="approved")
            assert await ended(watching) == (0, "", "")


async def test_ctrl_c_ends_it_without_a_trace(place: Pipeline):
    await place.registered()
    watching = await place.start("status", REF, "--watch", "--json")
    await line_with(watching, state="draft")
    watching.send_signal(signal.SIGINT)
    assert await ended(watching) == (130, "", "")


async def test_a_person_sees_one_table_that_changes_in_place(place: Pipeline):
    await place.registered()
    ours, theirs = pty.openpty()
    watching = await asyncio.create_subprocess_exec(
        HALLMARK, "status", REF, "--until", "retired", "--timeout", "30s",
        stdout=theirs, stderr=theirs, env={**place.environment, "TERM": "xterm", "COLUMNS": "100"}, cwd=place.folder,
    )  # fmt: skip
    os.close(theirs)
    seen = await _read_until(ours, "draft")
    await place.promoted()
    seen += await _read_until(ours, "candidate")
    watching.send_signal(signal.SIGINT)
    await asyncio.wait_for(watching.wait(), 30)
    os.close(ours)
    assert "\x1b[1A" in seen  # back up to the table's first line
    assert "Traceback" not in seen


async def _read_until(terminal: int, word: str) -> str:
    seen = ""
    async with asyncio.timeout(30):
        while word not in seen:
            seen += (await asyncio.to_thread(os.read, terminal, 4096)).decode()
    return seen


@pytest.mark.parametrize("kind", get_args(Kind))
async def test_both_clients_are_told_of_changes(place: Pipeline, kind: Kind):
    await place.registered()

    def follow() -> tuple[str, str, str]:
        with connect(kind, place.url, place.token, seconds=20) as hallmark:
            standing = hallmark.watch(REF)
            before = next(standing)
            hallmark.amend_metadata(REF, {"purpose": "to be changed"})
            after = next(standing)
            standing.close()
            rows = hallmark.changes("version_overview", {"ref": REF}, after=-1)
            row = next(rows)
            rows.close()
            return before["metadata"]["purpose"], after["metadata"]["purpose"], row["ref"]

    assert await asyncio.to_thread(follow) == ("answers", "to be changed", REF)
