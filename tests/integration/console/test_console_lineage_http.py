"""Lineage over HTTP: what is found, waited for and refused."""

from typing import Any

import pytest
from registry_core.events.versions import DependencyChanged, VersionRegistered
from registry_core.values import DatasetPurpose, DatasetUse, File, Metadata
from support_console import append

DIGEST = "sha256:" + "0" * 64
DATA = "dataset:http-claims@1.0.0"


def registered(ref: str, **metadata: Any) -> VersionRegistered:
    file = File(name="w", digest=DIGEST)
    return VersionRegistered(ref=ref, digest=DIGEST, files=(file,), metadata=Metadata(**metadata), registered_by="ci")


async def test_the_answer_contains_the_write_it_waits_for_with_windows_and_states(seeded: Any) -> None:
    ref = "model:http-fraud@1.0.0"
    since, until = "2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z"
    use = DatasetUse(ref=DATA, purpose=DatasetPurpose.TRAINING, since=since, until=until)
    index = await append(seeded.console.platform, ref, registered(ref, datasets=(use,)))
    answer = await seeded.http.get(f"/v1/versions/{ref}/lineage", params={"at_least": index, "direction": "up"})
    found = answer.json()
    assert [(node["ref"], node["kind"], node["state"], node["up"]) for node in found["nodes"]] == [
        (ref, "model", "draft", 0), (DATA, "dataset", None, 1),
    ]  # fmt: skip
    window = {"purpose": "training", "since": since, "until": until}
    assert found["edges"] == [
        {"dependant": ref, "depends_on": DATA, "relation": "dataset", "uses": [window], "newer": None}
    ]
    assert found["complete"]


async def test_nobody_s_version_is_not_found(seeded: Any) -> None:
    answer = await seeded.http.get("/v1/versions/model:nobody@1.0.0/lineage")
    assert (answer.status_code, answer.json()["fix"]) == (404, "register it first: `hallmark register`")


@pytest.mark.parametrize(
    ("query", "status"),
    [({"depth": "0"}, 400), ({"limit": "5001"}, 400), ({"direction": "sideways"}, 400), ({"depth": "x"}, 400)],
)
async def test_a_wrong_question_is_refused(seeded: Any, query: dict[str, str], status: int) -> None:
    answer = await seeded.http.get("/v1/versions/model:m@1.0.0/lineage", params=query)
    assert (answer.status_code, next(iter(query)) in answer.json()["field"]) == (status, True)


@pytest.mark.parametrize("ref", ["model:m", "nonsense", "model:m@1", "model:m@1.0.0'--"])
async def test_what_is_no_reference_is_refused(seeded: Any, ref: str) -> None:
    assert (await seeded.http.get(f"/v1/versions/{ref}/lineage")).status_code == 422


async def test_the_version_s_page_shows_both_ways_and_what_changed_underneath(seeded: Any) -> None:
    platform, base, top, user = (
        seeded.console.platform,
        "model:page-base@1.0.0",
        "adapter:page@1.0.0",
        "model:page@1.0.0",
    )
    await append(platform, base, registered(base, depends_on=(DATA,)))
    newer = DependencyChanged(ref=base, dependency=DATA, newer="dataset:http-claims@1.1.0", newer_digest=DIGEST)
    await append(platform, base, newer)
    await append(platform, top, registered(top, depends_on=(base,)))
    index = await append(platform, user, registered(user, depends_on=(top,)))
    text = (await seeded.http.get(f"/versions/{top}", params={"at_least": index})).text
    panel = text[text.index('id="lineage"') :]
    told = [panel.index(word) for word in ("Underneath", "Made of", "2 steps away", "Used by", user)]
    assert told == sorted(told)
    assert "dataset:http-claims@1.1.0" in panel[: told[1]]
    assert base in panel[told[1] : told[2]]
