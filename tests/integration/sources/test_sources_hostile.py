"""What hostile senders may try at the one door that no token guards, and what must never show."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import asyncpg
import httpx
import hypothesis
import pytest
from hallmark_ingestion import bootstrap as ingestion
from hypothesis import strategies as st
from registry_core.service import Platform
from registry_core.settings import Settings
from support import http, running, token_of
from support_inbox import Inbox
from support_sources import KINDS, SECRET, Sent, mlflow, release, sent_by, wandb

HEADERS = (
    "content-type", "authorization", "x-mlflow-delivery-id", "x-mlflow-timestamp", "x-mlflow-signature",
    "x-webhook-secret", "x-wandb-signature", "x-hallmark-secret", "x-hub-signature-256", "x-github-delivery",
    "x-github-event", "ce-id", "ce-type", "ce-source", "ce-specversion", "idempotency-key", "if-match", "traceparent",
    "content-encoding",
)  # fmt: skip
values = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60)
anything = st.builds(
    Sent,
    st.dictionaries(st.sampled_from(HEADERS), values, max_size=6),
    st.binary(max_size=200) | st.recursive(st.none() | st.text(max_size=9), st.lists, max_leaves=5).map(
        lambda tree: json.dumps(tree).encode()
    ),
)  # fmt: skip


def mangled(kind: str) -> st.SearchStrategy[Sent]:
    """A real delivery with one byte of its body changed or its end cut off, or with other headers."""
    sent = sent_by(kind)
    position = st.integers(0, len(sent.body) - 1)
    changed = st.tuples(position, st.integers(1, 255)).map(
        lambda at: sent.body[: at[0]] + bytes([sent.body[at[0]] ^ at[1]]) + sent.body[at[0] + 1 :]
    )
    bodies = changed | position.map(lambda end: sent.body[:end])
    return st.tuples(st.dictionaries(st.sampled_from(HEADERS), values, max_size=2), bodies).map(
        lambda parts: Sent({**sent.headers, **parts[0]}, parts[1])
    )


@pytest.fixture
async def door(settings: Settings) -> AsyncIterator[Inbox]:
    """Ingestion without loops: nothing but requests changes anything."""
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with running(alone, []) as (platform, _):
        services = [ingestion.build(platform)]
        token = await token_of(platform, "root", "admin")
        async with http(platform, services, token) as admin, http(platform, services) as outside:
            yield Inbox(admin, outside, platform, services)


async def effects(platform: Platform) -> tuple[Any, ...]:
    row = await platform.pool.fetchrow(
        """select (select count(*) from log.events), (select count(*) from work.jobs),
                  (select count(*) from work.deliveries where outcome <> 'refused')"""
    )
    return tuple(row)


async def fuzz(strategy: st.SearchStrategy[Sent], send: Callable[[Sent], Coroutine[None, None, None]]) -> None:
    """Hypothesis, which waits for nothing, in a thread; each request on this loop."""
    loop = asyncio.get_running_loop()

    @hypothesis.settings(max_examples=60, database=None)
    @hypothesis.given(strategy)
    def run(sent: Sent) -> None:
        asyncio.run_coroutine_threadsafe(send(sent), loop).result()

    await asyncio.to_thread(run)


@pytest.mark.parametrize("kind", KINDS)
async def test_whatever_is_sent_without_the_secret_is_refused_and_has_no_effect(door: Inbox, kind: str) -> None:
    await door.connect(kind)
    before = await effects(door.platform)

    async def send(sent: Sent) -> None:
        answer = await door.send(kind, sent)
        assert answer.status_code in (400, 401, 413), (answer.status_code, answer.text)

    await fuzz(anything, send)
    if kind in ("mlflow", "wandb", "github"):
        await fuzz(mangled(kind), send)
    assert await effects(door.platform) == before


@pytest.mark.parametrize("kind", ["huggingface", "sagemaker", "kserve"])
async def test_with_the_secret_itself_no_body_breaks_anything(door: Inbox, kind: str) -> None:
    """Where the proof does not cover the body, whoever has the secret may send any."""
    await door.connect(kind)

    async def send(sent: Sent) -> None:
        proof = {
            name: value for name, value in sent_by(kind).headers.items()
            if name in ("x-webhook-secret", "x-hallmark-secret", "authorization", "ce-id")
        }  # fmt: skip
        answer = await door.send(kind, Sent({**sent.headers, **proof}, sent.body))
        assert answer.status_code in (200, 202, 400, 409, 422), (answer.status_code, answer.text)

    await fuzz(anything, send)


async def test_a_source_that_is_there_and_one_that_is_not_are_asked_for_alike(
    door: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many queries before the answer, so that its time does not tell which sources there are."""
    await door.connect("github")
    asked: list[str] = []
    real = asyncpg.pool.Pool.fetch

    async def fetch(pool: asyncpg.Pool, query: str, *arguments: Any, **options: Any) -> Any:
        asked.append(query)
        return await real(pool, query, *arguments, **options)

    monkeypatch.setattr(asyncpg.pool.Pool, "fetch", fetch)
    queries = {}
    for name in ("github", "nothing"):
        asked.clear()
        assert (await door.send(name, release(secret="another-secret-altogether"))).status_code == 401
        queries[name] = list(asked)
    assert queries["github"] == queries["nothing"]
    assert len(queries["github"]) == 2


async def test_no_secret_is_in_a_log_line_an_answer_or_a_table(door: Inbox, capfd: pytest.CaptureFixture[str]) -> None:
    await door.connect("wandb")
    await door.connect("kserve")
    rotated = await door.admin.post("/v1/sources/wandb/rotate", json={})
    made = rotated.json()["secret"]
    for secret in (SECRET, made):
        bearer = wandb(alias=secret[:5]).but(x_wandb_signature=None, authorization=f"Bearer {secret}")
        assert (await door.send("wandb", bearer)).status_code == 202
    await door.send("wandb", Sent({"authorization": f"Bearer {SECRET}x"}, b"{}"))
    await door.send("kserve", sent_by("kserve"))
    answers = [await door.admin.post("/v1/sources", json={"name": "x", "kind": "?", "account": "a", "secret": made})]
    answers += [await door.admin.get(f"/v1/sources{path}") for path in ("", "/wandb", "/wandb/deliveries")]
    answers += [await door.admin.post(f"/v1/sources/{name}/test", json={}) for name in ("wandb", "kserve")]
    tables = await everything(door.platform)
    for secret in (SECRET, made):
        assert all(secret not in answer.text for answer in answers)
        assert secret.encode() not in tables
        assert secret.encode().hex().encode() not in tables
    told = capfd.readouterr()
    assert not [secret for secret in (SECRET, made) if secret in told.out + told.err]


async def everything(platform: Platform) -> bytes:
    """Every row that the services can read, as text."""
    tables = await platform.pool.fetch(
        """select format('%I.%I', table_schema, table_name) as name from information_schema.tables
            where table_schema in ('log', 'work', 'secrets', 'privacy', 'projection', 'views')"""
    )
    rows = [
        row["line"]
        for table in tables
        for row in await platform.pool.fetch(f"select t::text as line from {table['name']} t")
    ]
    bodies = await platform.pool.fetch("select body from log.events where body is not null")
    return "\n".join(rows).encode() + b"\n".join(row["body"] for row in bodies)


async def test_a_rotation_while_deliveries_come_refuses_none_of_them(door: Inbox) -> None:
    await door.connect("mlflow")

    async def send(number: int) -> httpx.Response:
        return await door.send("mlflow", mlflow({"name": f"m{number}"}))

    rotating = [door.admin.post("/v1/sources/mlflow/rotate", json={}) for _ in range(5)]
    answers = await asyncio.gather(*rotating, *[send(number) for number in range(40)])
    assert {answer.status_code for answer in answers[:5]} == {200}
    assert {answer.status_code for answer in answers[5:]} == {202}
