"""An MLflow server that is away, lies or tears its pages, and one with a thousand models."""

import json
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hallmark_ingestion.external import asking
from hallmark_ingestion.external.asking import SourceAwayError
from registry_core.source_polls import last_polls
from registry_core.store.source_secrets import SourceSecrets
from support_external import Place, connect
from support_hub import Answer, Hub, hub


class Models:
    """The registry's answers, from models in memory: what a real server gives, in pages."""

    def __init__(self, count: int, page: int = 1000) -> None:
        self.names = [f"model-{n:04}" for n in range(count)]
        self.page = page
        self.torn = ""
        """A model that the list leaves out, though it is there."""

    def answer(self, path: str) -> Answer:
        where, query = urlsplit(path).path, {k: v[0] for k, v in parse_qs(urlsplit(path).query).items()}
        if where.endswith("registered-models/search"):
            return self._page("registered_models", [model(n) for n in self.names if n != self.torn], query)
        if where.endswith("model-versions/search"):
            wanted = query.get("filter", "")
            named = [n for n in self.names if not wanted or wanted == f"name='{n}'"]
            return self._page("model_versions", [version(n) for n in named], query)
        if query.get("name") in self.names:
            found = model(query["name"]) if "registered" in where else version(query["name"])
            return ok({"registered_model" if "registered" in where else "model_version": found})
        if "/mlflow/" not in where:
            return 200, {}, b"<html>log in</html>"
        return 404, {}, b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}'

    def _page(self, key: str, found: list[Any], query: dict[str, str]) -> Answer:
        first = int(query.get("page_token", "0"))
        last = first + self.page
        return ok({key: found[first:last]} | ({"next_page_token": str(last)} if last < len(found) else {}))


def model(name: str) -> dict[str, Any]:
    return {"name": name, "creation_timestamp": 1, "aliases": [{"alias": "champion", "version": "1"}]}


def version(name: str) -> dict[str, Any]:
    return {"name": name, "version": "1", "creation_timestamp": 2, "source": f"s3://models/{name}"}


def ok(body: Any) -> Answer:
    return 200, {}, json.dumps(body).encode()


@pytest.fixture
def server() -> Iterator[Hub]:
    with hub() as made:
        yield made


async def test_a_thousand_models_that_did_not_change_cost_two_requests_and_write_nothing(
    place: Place, server: Hub
) -> None:
    server.answers = Models(1000).answer
    source = await connect(place.platform, "mlflow", server.url)
    assert (await place.poller.poll(source)).first_seen == 1000
    size = await place.platform.pool.fetchval("select count(*) from log.events")
    server.asked.clear()
    polled = await place.poller.poll(source)
    assert (polled.objects, polled.first_seen, polled.drifts) == (1000, 0, 0)
    assert len(server.asked) == 2
    assert await place.platform.pool.fetchval("select count(*) from log.events") == size


async def test_a_model_that_a_torn_list_leaves_out_is_looked_at_and_not_taken_for_deleted(
    place: Place, server: Hub
) -> None:
    models = Models(30, page=10)
    server.answers = models.answer
    source = await connect(place.platform, "mlflow", server.url)
    await place.poller.poll(source)
    models.torn = "model-0007"
    await place.poller.poll(source)
    assert await place.drifts("model-0007") == []
    models.names.remove("model-0007")
    await place.poller.poll(source)
    assert [(d.aspect, d.after) for d in await place.drifts("model-0007")] == [("model", None)]


LIES: dict[str, Answer] = {
    "an error": (500, {}, b"down"),
    "no JSON": (200, {}, b"<html>login</html>"),
    "another shape": ok({"registered_models": [{"name": 7}]}),
    "a list": ok([]),
    "a login": (302, {"location": "/login"}, b""),
    "another host": (302, {"location": "http://169.254.169.254/"}, b""),
    "a proxy's 404": (404, {}, b"<html>not found</html>"),
    "no access": (403, {}, b"forbidden"),
    "nested without end": (200, {}, b"[" * 100_000),
    "the same page for ever": ok({"next_page_token": "1"}),
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("where", ["/", "registered-models/get", "model-versions/search"])
async def test_an_answer_that_says_nothing_is_no_deletion(place: Place, server: Hub, lie: str, where: str) -> None:
    models = Models(3)
    server.answers = models.answer
    source = await connect(place.platform, "mlflow", server.url)
    await place.poller.poll(source)
    models.torn = "model-0001"  # so that it is looked at by itself
    server.answers = lambda path: LIES[lie] if where in path else models.answer(path)
    with pytest.raises(SourceAwayError, match=r"source src .* asked again"):
        await place.poller.poll(source)
    assert [await place.drifts(name) for name in models.names] == [[], [], []]


async def test_an_answer_that_does_not_end_is_given_up(
    place: Place, server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "LONGEST_ANSWER", 0.1)
    over = threading.Event()
    server.answers = lambda _path: ok({"waited": over.wait(60)})
    source = await connect(place.platform, "mlflow", server.url)
    with pytest.raises(SourceAwayError, match=r"takes longer than 0\.1 s"):
        await place.poller.poll(source)
    over.set()


async def test_a_server_that_is_gone_leaves_the_others_polled(place: Place, server: Hub) -> None:
    server.answers = Models(1).answer
    with hub() as stopped:
        gone = stopped.url
    await connect(place.platform, "mlflow", gone, name="gone")
    await connect(place.platform, "mlflow", server.url, name="here")
    await place.poller.turn()
    assert [len(await place.events("model-0000", source)) for source in ("gone", "here")] == [0, 1]


async def test_the_credential_beside_the_log_is_sent_and_another_one_from_then_on(place: Place, server: Hub) -> None:
    server.answers = Models(1).answer
    source = await connect(place.platform, "mlflow", server.url)
    secrets, now = SourceSecrets(place.platform.privacy_key), place.platform.clock()
    for given, sent in (("reader:secret", "Basic cmVhZGVyOnNlY3JldA=="), ("abc", "Bearer abc")):
        await secrets.keep_credential(place.platform.pool, "src", given, now)
        server.asked.clear()
        await place.poller.poll(source)
        assert {token for _, token in server.asked} == {sent}


async def test_what_the_last_poll_met_is_told_with_its_reason_and_since_when(place: Place, server: Hub) -> None:
    await connect(place.platform, "mlflow", server.url)
    told = []
    for status in (503, 503, 401, 200):
        server.answers = Models(1).answer if status == 200 else partial(refusing, status)
        await place.poller.turn()
        told.append((await last_polls(place.platform.pool))["src"])
    assert [poll.outcome for poll in told] == ["away", "away", "refused", "done"]
    assert told[0].outcome_since == told[1].outcome_since == told[0].at < told[1].at
    assert "503" in str(told[1].reason)
    assert "hallmark source credential src" in str(told[2].reason)
    assert (told[3].reason, told[3].outcome_since) == (None, told[3].at)


def refusing(status: int, _: str) -> Answer:
    return status, {}, b"no"
