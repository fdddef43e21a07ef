"""A repository that was imported through a source is followed: what changes there is found, or announced."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hallmark_ingestion.external.asking import SourceAwayError
from hallmark_ingestion.external.huggingface_state import announced
from hallmark_ingestion.external.state import Announcement
from registry_core.events.sources import ExternalChangeAnnounced, ExternalObjectObserved, ExternalVersionImported
from registry_core.sources import Source, external_stream
from registry_core.store.model import ANY, Append
from support import new
from support_external import Place, connect, jobs_of
from support_hub import Answer, Hub, Repository, hub

NAME = "org/tiny"


@pytest.fixture
def mirror() -> Iterator[Hub]:
    with hub() as made:
        made.repositories[NAME] = Repository({"config.json": b"{}"}, tags=["license:mit", "pytorch"])
        yield made


async def follow(place: Place, mirror: Hub) -> Source:
    source = await connect(place.platform, "huggingface", mirror.url)
    await place.observer.observe(source, NAME)
    assert [type(event) for event in await place.events(NAME)] == [ExternalObjectObserved]
    return source


def alone(difference: Any) -> tuple[str, Any, Any]:
    return difference.aspect, difference.before, difference.after


SILENT: dict[str, tuple[Callable[[Hub], Any], list[tuple[str, Any, Any]]]] = {
    "made private": (lambda m: m.repositories[NAME].more.update(private=True), [("private", None, True)]),
    "gated": (lambda m: m.repositories[NAME].more.update(gated="manual"), [("gated", None, "manual")]),
    "disabled": (lambda m: m.repositories[NAME].more.update(disabled=True), [("disabled", None, True)]),
    "another licence": (
        lambda m: m.repositories[NAME].tags.__setitem__(0, "license:gpl-3.0"),
        [("licence", "mit", "gpl-3.0")],
    ),
    "moved": (
        lambda m: (
            m.repositories.update({"org/new": m.repositories.pop(NAME)}),
            m.moved.update({NAME: "org/new"}),
        ),
        [("name", NAME, "org/new")],
    ),
}


@pytest.mark.parametrize("what", SILENT)
async def test_what_nobody_told_is_found_as_drift(place: Place, mirror: Hub, what: str) -> None:
    source = await follow(place, mirror)
    change, expected = SILENT[what]
    change(mirror)
    await place.poller.poll(source)
    assert [alone(d) for d in await place.drifts(NAME)] == expected
    await place.poller.poll(source)
    assert [alone(d) for d in await place.drifts(NAME)] == expected


async def test_a_deleted_repository_is_drift_and_one_that_is_back_too(place: Place, mirror: Hub) -> None:
    source = await follow(place, mirror)
    kept = mirror.repositories.pop(NAME)
    await place.poller.poll(source)
    mirror.repositories[NAME] = kept
    await place.poller.poll(source)
    facts = {"head": kept.sha, "licence": "mit", "tags": "pytorch"}
    assert [alone(d) for d in await place.drifts(NAME)] == [("repository", facts, None), ("repository", None, facts)]


async def test_a_push_that_nobody_announced_is_drift_and_its_commit_is_fetched(place: Place, mirror: Hub) -> None:
    source = await follow(place, mirror)
    before = mirror.repositories[NAME].sha
    mirror.repositories[NAME].files["config.json"] = b"[]"
    after = mirror.repositories[NAME].sha
    await place.poller.poll(source)
    assert [alone(d) for d in await place.drifts(NAME)] == [("head", before, after)]
    assert {"source": "src", "object": NAME, "version": after} in await jobs_of(place.platform, "import-version")


async def test_a_push_that_a_webhook_announced_is_no_drift(place: Place, mirror: Hub) -> None:
    source = await follow(place, mirror)
    mirror.repositories[NAME].files["config.json"] = b"[]"
    mirror.repositories[NAME].more["private"] = True
    told = Announcement("d-1", announced("update", "repo.content"))
    await place.observer.observe(source, NAME, told)
    (event,) = [event for event in await place.events(NAME) if isinstance(event, ExternalChangeAnnounced)]
    assert [d.aspect for d in event.differences] == ["head"]
    await place.poller.poll(source)
    assert [d.aspect for d in await place.drifts(NAME)] == ["private"]


async def test_an_announced_move_carries_imports_over_and_is_no_drift(place: Place, mirror: Hub) -> None:
    source = await follow(place, mirror)
    brought = ExternalVersionImported(
        source="src",
        object=NAME,
        version=mirror.repositories[NAME].sha,
        ref="model:tiny@1.0.0",
        digest=f"sha256:{'0' * 64}",
    )
    await place.platform.store.append(Append(external_stream("src", NAME), [new(brought)], ANY))
    SILENT["moved"][0](mirror)
    mirror.repositories["org/new"].more["private"] = True
    await place.observer.observe(source, NAME, Announcement("d-1", announced("move", "repo")))
    (told,) = [event for event in await place.events(NAME) if isinstance(event, ExternalChangeAnnounced)]
    assert [alone(d) for d in told.differences] == [("name", NAME, "org/new")]
    assert [i.ref for i in (await place.known("org/new")).imports.values()] == ["model:tiny@1.0.0"]
    await place.poller.poll(source)
    assert await place.drifts(NAME) == []
    assert [alone(d) for d in await place.drifts("org/new")] == [("private", None, True)]


async def test_another_delivery_about_a_moved_repository_leaves_the_move_to_its_own(place: Place, mirror: Hub) -> None:
    source = await follow(place, mirror)
    SILENT["moved"][0](mirror)
    await place.observer.observe(source, NAME, Announcement("d-1", announced("update", "repo.content")))
    assert [type(event) for event in await place.events(NAME)] == [ExternalObjectObserved]
    assert await place.events("org/new") == []


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}, b"oops"),
        (200, {}, b"<html>"),
        (200, {}, b"[]"),
        (200, {}, b'{"id": "org/tiny"}'),
        (200, {}, b'{"id": "org/tiny", "sha": "main"}'),
        (401, {}, b"Invalid username or password."),
        (404, {"x-error-code": "GatedRepo"}, b""),
        (302, {"location": "http://169.254.169.254/latest"}, b""),
        (302, {"location": "https://evil.example/x"}, b""),
        (302, {"location": "/api/models/org/tiny"}, b""),
    ],
)
async def test_an_answer_that_says_nothing_is_no_drift(place: Place, mirror: Hub, answer: Answer) -> None:
    source = await follow(place, mirror)
    mirror.answers = lambda _: answer
    with pytest.raises(SourceAwayError, match="asked again"):
        await place.poller.poll(source)
    assert await place.drifts(NAME) == []
