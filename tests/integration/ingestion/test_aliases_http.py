"""Aliases over HTTP: who may move them, how they came to point where they do, and references by alias."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hallmark_console import bootstrap as console
from hallmark_ingestion import bootstrap as ingestion
from hallmark_ledger import bootstrap as ledger
from registry_core.events.lifecycle import VersionApproved, VersionBecameCandidate, VersionSuspended
from registry_core.service import Platform
from registry_core.settings import Settings
from registry_core.store import ANY, Append
from registry_core.values import UseContext
from support import http, new, running, token_of

ASSET, FIRST, SECOND = "model:risk", "model:risk@1.0.0", "model:risk@2.0.0"
DIGEST = "sha256:" + "a" * 64
PATH = f"/v1/assets/{ASSET}/aliases"
PEOPLE = {"dana": "contributor", "eve": "contributor", "lee": "manager", "root": "admin", "vic": "viewer"}


@dataclass
class Api:
    platform: Platform
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    async def set(self, who: str, alias: str, ref: str, **headers: str) -> httpx.Response:
        body = {"ref": ref, "reason": f"{who} says so"}
        return await self.clients[who].put(f"{PATH}/{alias}", json=body, headers=headers)

    async def remove(self, who: str, alias: str) -> httpx.Response:
        return await self.clients[who].delete(f"{PATH}/{alias}", params={"reason": "over"})

    async def get(self, path: str, **bounds: str) -> Any:
        answer = await self.clients["vic"].get(path, params=bounds)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def approve(self, ref: str) -> None:
        approved = VersionApproved(
            ref=ref, promotion="p", context=UseContext(business_function="lending"), environment="production",
            expires_at=datetime.now(UTC) + timedelta(days=9), decision_digest=DIGEST,
        )  # fmt: skip
        events = [new(VersionBecameCandidate(ref=ref, promotion="p")), new(approved)]
        await self.platform.store.append(Append(ref, events, ANY))


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[Api]:
    """dana registered two versions; nobody else answers for them."""
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with (
        running(alone, [ledger.build, ingestion.build, console.build]) as (platform, services),
        AsyncExitStack() as stack,
    ):
        api = Api(platform)
        for name, role in PEOPLE.items():
            token = await token_of(platform, name, role)
            api.clients[name] = await stack.enter_async_context(http(platform, services, token))
        for ref in (FIRST, SECOND):
            registered = await api.clients["dana"].post("/v1/versions", json={"ref": ref, "digest": DIGEST})
            assert registered.is_success
        yield api


async def test_each_move_is_kept_with_before_after_and_reason(api: Api) -> None:
    for alias, ref in (("challenger", FIRST), ("challenger", SECOND), ("challenger", SECOND)):
        assert (await api.set("dana", alias, ref)).status_code == 200
    assert (await api.remove("dana", "challenger")).status_code == 200
    found = await api.get(f"{PATH}/challenger")
    moves = [(m["before"], m["after"], m["by"], m["reason"]) for m in found["history"]]
    assert moves == [
        (None, FIRST, "dana", "dana says so"), (FIRST, SECOND, "dana", "dana says so"), (SECOND, None, "dana", "over"),
    ]  # fmt: skip
    assert (found["ref"], (await api.get(PATH))["aliases"]) == (None, [])
    between = found["history"][1]["recorded_at"]
    assert (await api.get(f"{PATH}/challenger", known_at=between))["ref"] == SECOND
    assert (await api.get(PATH, known_at=found["history"][0]["recorded_at"]))["aliases"] == [
        {"alias": "challenger", "ref": FIRST, "state": "draft", "protected": False}
    ]


async def test_an_alias_of_another_s_version_is_out_of_reach(api: Api) -> None:
    own = "model:risk@6.6.6"
    assert (await api.clients["eve"].post("/v1/versions", json={"ref": own, "digest": DIGEST})).is_success
    assert (await api.set("dana", "challenger", FIRST)).status_code == 200
    refused = [
        await api.set("eve", "challenger", own),  # would take it away from dana's version
        await api.set("eve", "canary", SECOND),  # would recommend what is dana's
        await api.remove("eve", "challenger"),
        await api.set("vic", "canary", FIRST),
        await api.set("root", "challenger", SECOND),  # an administrator is no manager
    ]
    assert [(answer.status_code, bool(answer.json()["fix"])) for answer in refused] == [(403, True)] * 5
    assert (await api.get(f"{PATH}/challenger"))["ref"] == FIRST
    assert (await api.set("eve", "canary", own)).status_code == 200
    assert (await api.set("lee", "challenger", own)).status_code == 200


async def test_a_protected_alias_is_moved_by_managers_to_what_is_approved_and_in_force(api: Api) -> None:
    assert (await api.set("lee", "champion", FIRST)).status_code == 409
    await api.approve(FIRST)
    assert (await api.set("dana", "champion", FIRST)).status_code == 403
    assert (await api.set("lee", "champion", FIRST)).status_code == 200
    assert (await api.remove("dana", "champion")).status_code == 403
    suspended = VersionSuspended(ref=FIRST, cause="leak")
    await api.platform.store.append(Append(FIRST, [new(suspended)], ANY))
    (listed,) = (await api.get(PATH))["aliases"]
    assert (listed["state"], listed["protected"]) == ("suspended", True)


async def test_which_aliases_are_protected_is_a_manager_s_decision_in_the_log(api: Api) -> None:
    body = {"names": ["golden"], "reason": "our word for it"}
    for who, status in (("dana", 403), ("root", 403), ("lee", 200)):
        assert (await api.clients[who].put("/v1/protected-aliases", json=body)).status_code == status
    assert (await api.get("/v1/protected-aliases"))["names"] == ["golden"]
    assert (await api.set("dana", "champion", FIRST)).status_code == 200
    assert (await api.set("dana", "golden", FIRST)).status_code == 403


async def test_a_move_that_others_overtook_is_refused_by_its_version(api: Api) -> None:
    await api.set("dana", "challenger", FIRST)
    seen = (await api.get(PATH))["stream_version"]
    assert (await api.set("dana", "challenger", SECOND, **{"If-Match": str(seen)})).status_code == 200
    assert (await api.set("dana", "challenger", FIRST, **{"If-Match": str(seen)})).status_code == 412


async def test_a_reference_by_alias_is_read_and_answered_by_version(api: Api) -> None:
    await api.set("dana", "challenger", FIRST)
    index = (await api.set("dana", "challenger", SECOND)).json()["log_index"]
    name = quote(f"{ASSET}@challenger")
    assert (await api.get(f"/v1/versions/{name}"))["ref"] == SECOND
    assert (await api.get(f"/v1/versions/{name}/lineage", at_least=index))["ref"] == SECOND
    first = (await api.get(f"{PATH}/challenger"))["history"][0]["recorded_at"]
    assert (await api.get(f"/v1/versions/{name}", known_at=first))["ref"] == FIRST
    assert (await api.get(f"/v1/assets/{ASSET}"))["aliases"] == {"challenger": SECOND}
    assert (await api.get(f"/v1/assets/{ASSET}", known_at=first))["aliases"] == {"challenger": FIRST}
    unknown = await api.clients["vic"].get(f"/v1/versions/{ASSET}@nobody")
    assert (unknown.status_code, "hallmark alias list" in unknown.json()["fix"]) == (404, True)


async def test_writes_take_versions_alone(api: Api) -> None:
    """What is written names a version for good; where an alias points changes."""
    await api.set("dana", "challenger", FIRST)
    by_alias = f"{ASSET}@challenger"
    amended = await api.clients["dana"].patch(f"/v1/versions/{by_alias}/metadata", json={"owner": "dana"})
    made_of = {"ref": "adapter:a@1.0.0", "digest": DIGEST, "metadata": {"depends_on": [by_alias]}}
    registered = await api.clients["dana"].post("/v1/versions", json=made_of)
    moved = await api.set("dana", "canary", by_alias)
    assert [amended.status_code, registered.status_code, moved.status_code] == [422, 400, 400]


@pytest.mark.parametrize("alias", ["1.0.0", "Champion", "a" * 33, "-x", "x y", "%00"])
async def test_what_is_no_alias_is_refused(api: Api, alias: str) -> None:
    assert (await api.set("lee", alias, FIRST)).status_code in (400, 422)


async def test_a_version_of_another_asset_or_of_nobody_is_refused(api: Api) -> None:
    other = "model:other@1.0.0"
    assert (await api.clients["dana"].post("/v1/versions", json={"ref": other, "digest": DIGEST})).is_success
    assert [(await api.set("dana", "canary", ref)).status_code for ref in (other, "model:risk@9.9.9")] == [422, 404]
    told = [(await api.set("eve", "canary", ref)).status_code for ref in (other, "model:nobody@1.0.0")]
    assert told == [422, 422], "whether another model has such a version is not told"
    assert (await api.remove("dana", "nothing")).status_code == 404
