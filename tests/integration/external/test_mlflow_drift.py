"""A real MLflow server: what its webhooks do not tell is found by asking, and what they tell for nothing is not."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from hallmark_ingestion.external.mlflow_state import announced
from hallmark_ingestion.external.state import Announcement
from registry_core.events.sources import ExternalChangeAnnounced, ExternalObjectObserved
from support import until
from support_external import Place, connect
from support_mlflow import MlflowServer

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("mlflow"), pytest.mark.timeout(300)]


@pytest.fixture
def name(mlflow: MlflowServer) -> str:
    """A registered model of the test's own: described, tagged, with two versions, the second of them champion."""
    made = f"m {uuid4().hex[:8]}"
    mlflow.model(made, description="before", tags=[{"key": "team", "value": "risk"}])
    mlflow.version(made, tags=[{"key": "lot", "value": "7"}])
    mlflow.version(made, source="s3://elsewhere/second")
    mlflow.alias(made, "champion", "2")
    return made


Silent = tuple[Callable[[MlflowServer, str], Any], list[tuple[str, Any, Any]]]


def delete_version(server: MlflowServer, name: str) -> None:
    server.ask("DELETE", "model-versions/delete", name=name, version="2")


SILENT: dict[str, Silent] = {
    "a description of the model": (
        lambda server, name: server.ask("PATCH", "registered-models/update", name=name, description="after"),
        [("description", "before", "after")],
    ),
    "a description of a version": (
        lambda server, name: server.ask("PATCH", "model-versions/update", name=name, version="1", description="x"),
        [("version 1 description", None, "x")],
    ),
    "a tag of the model": (
        lambda server, name: server.tag(name, "team", "growth"),
        [("tag team", "risk", "growth")],
    ),
    "a stage": (
        lambda server, name: server.ask(
            "POST", "model-versions/transition-stage", name=name, version="1", stage="Production"
        ),
        [("version 1 stage", None, "Production")],
    ),
    "a deleted version that held an alias": (
        delete_version,
        [("alias champion", "2", None), ("version 2", {"source": "s3://elsewhere/second"}, None)],
    ),
    "a deleted model": (
        lambda server, name: server.ask("DELETE", "registered-models/delete", name=name),
        [("model", {"alias champion": "2", "description": "before", "tag team": "risk"}, None)],
    ),
}


@pytest.mark.parametrize("what", SILENT)
async def test_what_mlflow_tells_nobody_is_found_as_drift(
    mlflow: MlflowServer, place: Place, name: str, what: str
) -> None:
    source = await connect(place.platform, "mlflow", mlflow.url)
    await place.poller.poll(source)
    change, expected = SILENT[what]
    change(mlflow, name)
    polled = await place.poller.poll(source)
    found = await place.drifts(name)
    assert [(d.aspect, _without_time(d.before), _without_time(d.after)) for d in found] == expected
    assert polled.drifts == len(expected)
    await place.poller.poll(source)
    assert await place.drifts(name) == found  # said once


def _without_time(value: Any) -> Any:
    return {k: v for k, v in value.items() if k != "created"} if isinstance(value, dict) else value


async def test_a_renaming_is_told_with_both_names_and_the_new_one_is_followed(
    mlflow: MlflowServer, place: Place, name: str
) -> None:
    source = await connect(place.platform, "mlflow", mlflow.url)
    await place.poller.poll(source)
    renamed = f"{name} renamed"
    mlflow.ask("POST", "registered-models/rename", name=name, new_name=renamed)
    mlflow.tag(renamed, "team", "growth")
    await place.poller.poll(source)
    assert [(d.aspect, d.before, d.after) for d in await place.drifts(name)] == [("name", name, renamed)]
    assert [(d.aspect, d.before, d.after) for d in await place.drifts(renamed)] == [("tag team", "risk", "growth")]
    before = await place.events(renamed)
    await place.poller.poll(source)
    assert await place.events(renamed) == before


async def test_deleting_an_alias_that_is_not_there_changes_nothing(
    mlflow: MlflowServer, place: Place, name: str
) -> None:
    source = await connect(place.platform, "mlflow", mlflow.url)
    await place.poller.poll(source)
    before = await place.events(name)
    mlflow.remove_alias(name, "phantom")

    async def delivered() -> Announcement | None:
        return next((a for a in announcements(mlflow, name) if a.aspects == ["alias phantom"]), None)

    phantom = await until(delivered)
    assert phantom is not None
    await place.observer.observe(source, name, phantom)
    await place.poller.poll(source)
    assert await place.events(name) == before


def announcements(mlflow: MlflowServer, name: str) -> list[Announcement]:
    """What the server's own webhooks said of this model so far."""
    found = [(i, b) for i, b in mlflow.deliveries if b["data"]["name"] == name]
    return [Announcement(i, announced(f"{b['entity']}.{b['action']}", b["data"])) for i, b in found]


async def test_what_a_webhook_tells_is_announced_and_no_drift(mlflow: MlflowServer, place: Place, name: str) -> None:
    source = await connect(place.platform, "mlflow", mlflow.url)
    await place.poller.poll(source)
    mlflow.version(name, source="s3://elsewhere/third", tags=[{"key": "lot", "value": "9"}])
    mlflow.alias(name, "champion", "3")
    mlflow.tag(name, "lot", "8", version="1")
    wanted = {"version 3", "alias champion", "version 1 tag lot"}

    async def all_told() -> bool:
        aspects = [aspect for told in announcements(mlflow, name)[4:] for aspect in told.aspects]
        return wanted <= {*aspects}

    await until(all_told)
    for told in announcements(mlflow, name):
        await place.observer.observe(source, name, told)
    await place.poller.poll(source)
    assert await place.drifts(name) == []
    events = [event for event in await place.events(name) if isinstance(event, ExternalChangeAnnounced)]
    assert {d.aspect for event in events for d in event.differences} == wanted
    assert {event.delivery for event in events} <= {i for i, _ in mlflow.deliveries}


async def test_a_look_that_a_webhook_asked_for_leaves_the_rest_to_its_own_webhook_or_to_the_poll(
    mlflow: MlflowServer, place: Place, name: str
) -> None:
    source = await connect(place.platform, "mlflow", mlflow.url)
    await place.poller.poll(source)
    mlflow.alias(name, "champion", "1")
    mlflow.ask("PATCH", "registered-models/update", name=name, description="after")
    await place.observer.observe(source, name, Announcement("d-1", ["alias champion"]))
    assert await place.drifts(name) == []
    await place.poller.poll(source)
    assert [(d.aspect, d.after) for d in await place.drifts(name)] == [("description", "after")]


async def test_two_replicas_that_poll_at_once_say_it_once(mlflow: MlflowServer, place: Place, name: str) -> None:
    import asyncio

    from hallmark_ingestion.external.polling import Poller

    source = await connect(place.platform, "mlflow", mlflow.url)
    other = Poller(place.platform, place.observer)
    await asyncio.gather(place.poller.poll(source), other.poll(source))
    assert [type(event) for event in await place.events(name)] == [ExternalObjectObserved]
    mlflow.ask("PATCH", "registered-models/update", name=name, description="after")
    delete_version(mlflow, name)
    await asyncio.gather(place.poller.poll(source), other.poll(source))
    assert [d.aspect for d in await place.drifts(name)] == ["alias champion", "description", "version 2"]


async def test_a_model_deleted_and_made_again_under_its_name_is_told_as_both(
    mlflow: MlflowServer, place: Place, name: str
) -> None:
    source = await connect(place.platform, "mlflow", mlflow.url)
    await place.poller.poll(source)
    mlflow.ask("DELETE", "registered-models/delete", name=name)
    await place.poller.poll(source)
    mlflow.model(name, description="another")
    await place.poller.poll(source)
    assert [(d.aspect, d.before is None, d.after is None) for d in await place.drifts(name)] == [
        ("model", False, True),
        ("model", True, False),
    ]
    assert (await place.known(name)).state["model"]["description"] == "another"
