"""Live subscriptions over real HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from hallmark_console import live
from registry_core.events.governance import TokenRevoked
from registry_core.events.versions import MetadataAmended
from registry_core.identity import BearerToken, account_stream
from registry_core.settings import Settings
from registry_core.values import Metadata
from support_console import add_account, append, console
from support_portfolio import registered

REF = "model:fraud-detector@3.2.0"
OVERVIEW = "/v1/views/version_overview/live"


@dataclass(slots=True)
class Message:
    id: int | None = None
    data: dict[str, Any] | None = None
    comment: str = ""


async def messages(answer: httpx.Response) -> AsyncIterator[Message]:
    """Parse a stream of server-sent events."""
    message = Message()
    async for line in answer.aiter_lines():
        field, _, value = line.partition(": ")
        match field:
            case "id":
                message.id = int(value)
            case "data":
                message.data = json.loads(value)
            case "" if value:
                message.comment = value
            case "" if not line:
                yield message
                message = Message()


@asynccontextmanager
async def subscribed(seeded: Any, path: str = OVERVIEW, **options: Any) -> AsyncIterator[AsyncIterator[Message]]:
    async with seeded.http.stream("GET", path, **options) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield messages(answer)


async def following(stream: AsyncIterator[Message], count: int) -> list[Message]:
    """The next messages that carry rows."""
    found: list[Message] = []
    async with asyncio.timeout(20):
        async for message in stream:
            if message.data is not None:
                found.append(message)
            if len(found) == count:
                break
    return found


async def amend(seeded: Any, owner: str, ref: str = REF) -> int:
    return await append(seeded.console.platform, ref, MetadataAmended(ref=ref, metadata=Metadata(owner=owner)))


async def test_a_change_arrives_as_the_row_with_its_log_index(seeded: Any) -> None:
    async with subscribed(seeded) as stream:
        await anext(stream)
        index = await amend(seeded, "ines")
        (message,) = await following(stream, 1)
    assert message.id == index
    assert message.data is not None
    assert (message.data["ref"], message.data["owner"]) == (REF, "ines")


async def test_whoever_resumes_gets_what_was_missed_and_nothing_twice(seeded: Any) -> None:
    async with subscribed(seeded) as stream:
        await anext(stream)
        first = await amend(seeded, "ines")
        assert [message.id for message in await following(stream, 1)] == [first]
    missed = [await amend(seeded, "jonas", ref) for ref in ("model:churn@0.4.2", "model:credit-risk@1.1.0")]
    async with subscribed(seeded, headers={"Last-Event-ID": str(first)}) as stream:
        assert [message.id for message in await following(stream, 2)] == missed


async def test_last_event_id_counts_more_than_the_address(seeded: Any) -> None:
    index = await amend(seeded, "ines")
    options = {"headers": {"Last-Event-ID": str(index - 1)}, "params": {"after": -1}}
    async with subscribed(seeded, **options) as stream:
        assert [message.id for message in await following(stream, 1)] == [index]


async def test_a_subscription_from_the_beginning_brings_every_row(seeded: Any) -> None:
    rows = (await seeded.http.get("/v1/views/version_timeline", params={"limit": 1000})).json()["rows"]
    async with subscribed(seeded, "/v1/views/version_timeline/live", params={"after": -1}) as stream:
        got = await following(stream, len(rows))
    assert [message.data for message in got] == rows


async def test_a_filter_lets_only_its_rows_through(seeded: Any) -> None:
    async with subscribed(seeded, params={"ref": "model:churn@0.4.2"}) as stream:
        await anext(stream)
        await amend(seeded, "ines")
        index = await amend(seeded, "wei", "model:churn@0.4.2")
        assert [message.id for message in await following(stream, 1)] == [index]


async def test_a_silent_stream_sends_heartbeats(seeded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT", 0.02)
    async with subscribed(seeded) as stream, asyncio.timeout(10):
        comments = [(await anext(stream)).comment for _ in range(3)]
    assert comments[1:] == ["still here", "still here"]


async def test_a_change_wakes_the_stream_without_waiting_for_a_heartbeat(
    seeded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "HEARTBEAT", 3600.0)
    async with subscribed(seeded) as stream:
        await anext(stream)
        index = await amend(seeded, "ines")
        assert [message.id for message in await following(stream, 1)] == [index]


async def test_a_revoked_token_ends_its_stream(seeded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT", 0.1)
    platform = seeded.console.platform
    other = await add_account(platform, "tomas", "viewer")
    async with subscribed(seeded, headers={"authorization": f"Bearer {other}"}) as stream:
        await anext(stream)
        token = BearerToken.parse(other)
        assert token is not None
        await append(platform, account_stream("tomas"), TokenRevoked(account="tomas", token_id=token.token_id))
        async with asyncio.timeout(10):
            assert all([message.data is None async for message in stream])


@pytest.mark.parametrize("value", ["abc", "-1", "1.5", "٣", str(2**63)])
async def test_a_last_event_id_that_is_no_log_index_is_refused(seeded: Any, value: str) -> None:
    answer = await seeded.http.get(OVERVIEW, headers={"Last-Event-ID": value.encode()})
    assert answer.status_code == 400
    assert answer.json()["fix"]


async def test_a_stream_ends_cleanly_when_the_server_stops(
    console_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with console(console_settings) as running:
        token = await add_account(running.platform, "maria", "viewer")
        index = await append(running.platform, "model:a@1.0.0", registered("model:a@1.0.0"))
        headers = {"authorization": f"Bearer {token}"}
        async with (
            httpx.AsyncClient(base_url=running.url, headers=headers, timeout=30) as http,
            http.stream("GET", OVERVIEW, params={"after": -1}) as answer,
        ):
            stream = messages(answer)
            assert [message.id for message in await following(stream, 1)] == [index]
            running.server.should_exit = True
            rest = [message async for message in stream]
    assert [message.data for message in rest] == [None] * len(rest)
    assert "Exception in ASGI" not in caplog.text


async def test_one_account_does_not_hold_all_connections(seeded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_STREAMS", 2)
    async with subscribed(seeded), subscribed(seeded), seeded.http.stream("GET", OVERVIEW) as refused:
        assert refused.status_code == 429
    async with asyncio.timeout(20):
        while True:  # the server hears of a closed connection a little later
            async with seeded.http.stream("GET", OVERVIEW) as answer:
                if answer.status_code == 200:
                    break
