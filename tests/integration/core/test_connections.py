"""What a connection may hold up: headers in size and time, bodies in size and time; and whose word a proxy's is."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from registry_core.http import app, server
from registry_core.settings import Settings
from support import served, token_of

Place = tuple[Any, str]
REQUEST = b"GET /health/live HTTP/1.1\r\nhost: hallmark\r\n"


@pytest.fixture
async def place(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    """Ingestion over real HTTP, impatient."""
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.3)
    monkeypatch.setattr(app, "BODY_SECONDS", 0.3)
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with served(alone, ["ledger", "ingestion"]) as found:
        yield found


async def connected(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = httpx.URL(url)
    return await asyncio.open_connection(parts.host, parts.port)


async def answer_to(url: str, *parts: bytes) -> bytes:
    """All that comes back until the server closes the connection, which it has to."""
    reader, writer = await connected(url)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def alive(url: str) -> bool:
    async with httpx.AsyncClient() as client:
        return (await client.get(f"{url}/health/live")).status_code == 200


async def test_ordinary_requests_are_answered_one_after_another(place: Place) -> None:
    """On one connection, in one piece and in many, and two at once."""
    reader, writer = await connected(place[1])
    for piece in (REQUEST + b"\r\n", REQUEST[:9], REQUEST[9:], b"\r\n", (REQUEST + b"\r\n") * 2):
        writer.write(piece)
        await writer.drain()
    async with asyncio.timeout(10):
        for _ in range(4):
            answer = await reader.readuntil(b"live")
            assert b" 200 " in answer
            assert b"server:" not in answer
    writer.close()


@pytest.mark.parametrize(
    "headers",
    [
        b"x: " + b"a" * (server.HEADER_BYTES + 1) + b"\r\n\r\n",
        b"x: " + b"a" * 300_000,
        b"".join(b"x%d: y\r\n" % n for n in range(server.HEADER_COUNT + 1)) + b"\r\n",
    ],
)
async def test_headers_that_are_too_large_or_too_many_end_the_connection(place: Place, headers: bytes) -> None:
    answer = await answer_to(place[1], REQUEST, headers)
    assert answer.startswith(b"HTTP/1.1 400") or not answer
    assert await alive(place[1])


@pytest.mark.parametrize("sent", [b"", b"GET", REQUEST, REQUEST + b"\r\n" + b"\r\n\r\n", REQUEST + b"\r\n" + b"GET /"])
async def test_whoever_stops_in_the_headers_is_not_waited_for(place: Place, sent: bytes) -> None:
    """With 400 where something of a request had come."""
    answer = await answer_to(place[1], sent)
    assert (b" 400 " in answer) is not sent.endswith(b"\r\n\r\n")
    assert (b" 200 " in answer) is (REQUEST + b"\r\n" in sent)


async def test_many_who_stop_hold_nobody_up(place: Place) -> None:
    stopped = await asyncio.gather(*(connected(place[1]) for _ in range(200)))
    for _, writer in stopped:
        writer.write(REQUEST)
    assert await alive(place[1])
    async with asyncio.timeout(20):
        ended = await asyncio.gather(*(reader.read() for reader, _ in stopped))
    assert all(b" 400 " in answer for answer in ended)
    for _, writer in stopped:
        writer.close()


@pytest.mark.parametrize("path", ["/v1/versions", "/v1/events", "/v1/versions/model:m@1.0.0/evidence?type=sbom"])
async def test_a_body_that_stops_is_not_waited_for(place: Place, path: str) -> None:
    platform, url = place
    token = await token_of(platform, "ci", "contributor")
    head = f"POST {path} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n"
    answer = await answer_to(url, head.encode() + b"content-length: 100\r\n\r\n", b'{"ref": ')
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"too-slow" in answer


async def test_a_file_may_take_long_as_long_as_it_comes(place: Place) -> None:
    """Each part within the time, all of them not; then one that does not come."""
    platform, url = place
    token = await token_of(platform, "ci", "contributor")
    bearer = {"authorization": f"Bearer {token}"}
    digest = "sha256:" + "0" * 64
    version = {"ref": "model:m@1.0.0", "files": [{"name": "w", "digest": digest, "size": 8}]}

    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(4):
            await asyncio.sleep(app.BODY_SECONDS / 2)  # this is what is tested
            yield b"ab"

    async with httpx.AsyncClient(base_url=url, headers=bearer, timeout=20) as client:
        assert (await client.post("/v1/versions", json=version)).status_code == 201
        took = await client.put("/v1/versions/model:m@1.0.0/files/w", content=slowly())
    assert (took.status_code, took.json()["type"]) == (422, "urn:hallmark:problem:wrong-digest")
    head = f"PUT /v1/versions/model:m@1.0.0/files/w HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {token}\r\n"
    assert b" 408 " in await answer_to(url, head.encode() + b"content-length: 8\r\n\r\nab")


@pytest.mark.parametrize(
    ("trusted", "address"), [("", "127.0.0.1"), ("192.0.2.0/24", "127.0.0.1"), ("127.0.0.0/8", "198.51.100.7")]
)
async def test_a_proxy_s_word_counts_only_where_it_is_named(settings: Settings, trusted: str, address: str) -> None:
    """Who is counted is seen by who is refused, and the scheme by the header that only HTTPS has."""
    alone = settings.model_copy(update={"kafka_bootstrap": "", "trusted_proxies": trusted, "rate_address": 0.1})
    forwarded = {"x-forwarded-for": "203.0.113.9, 198.51.100.7", "x-forwarded-proto": "https"}
    async with served(alone, ["approval"]) as (_, url), httpx.AsyncClient(base_url=url) as client:
        first = await client.get("/v1/decision-key", headers=forwarded)
        assert first.status_code == 200
        assert ("strict-transport-security" in first.headers) is (address != "127.0.0.1")
        assert (await client.get("/v1/decision-key")).status_code == (429 if address == "127.0.0.1" else 200)
        other = forwarded | {"x-forwarded-for": "203.0.113.10, 198.51.100.7"}
        assert (await client.get("/v1/decision-key", headers=other)).status_code == 429
