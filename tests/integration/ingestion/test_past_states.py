"""How things stood, over HTTP: versions, assets and accounts as of a time and as known at one."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hallmark_approval import bootstrap as approval
from hallmark_ingestion import bootstrap as ingestion
from hallmark_ledger import bootstrap as ledger
from registry_core.events import Event, NewEvent, Origin
from registry_core.events.governance import PolicyActivated, RolesChanged
from registry_core.events.lifecycle import ApprovalExpired, ExceptionGranted, VersionApproved, VersionBecameCandidate
from registry_core.events.versions import VersionRegistered
from registry_core.identity import account_stream
from registry_core.service import Platform
from registry_core.settings import Settings
from registry_core.store import ANY, Append
from registry_core.values import File, Metadata, UseContext, policy_stream
from support import http, running, token_of

DIGEST = "sha256:" + "a" * 64
REF = "model:risk@1.0.0"
DAY = timedelta(days=1)
LENDING = UseContext(business_function="lending")


@dataclass(frozen=True)
class Api:
    client: httpx.AsyncClient
    platform: Platform
    began: datetime
    """Whole seconds, so that it is told exactly."""

    async def happened(self, stream: str, *events: tuple[Event, datetime]) -> datetime:
        """Events with the time they occurred. When the last one was recorded."""
        await self.platform.store.append(
            Append(stream, [NewEvent(id=uuid4(), data=data, origin=_origin(at)) for data, at in events], ANY)
        )
        return (await self.platform.store.read_streams([stream]))[stream][-1].recorded_at

    async def get(self, path: str, **bounds: datetime | str) -> httpx.Response:
        texts = {name: at if isinstance(at, str) else at.isoformat() for name, at in bounds.items()}
        return await self.client.get(path, params=texts)

    async def found(self, path: str, **bounds: datetime | str) -> Any:
        answer = await self.get(path, **bounds)
        assert answer.status_code == 200, answer.text
        return answer.json()


def _origin(at: datetime) -> Origin:
    return Origin(actor="ci", occurred_at=at, correlation_id=uuid4())


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[Api]:
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with running(alone, [ledger.build, ingestion.build, approval.build]) as (platform, services):
        token = await token_of(platform, "root", "admin")
        async with http(platform, services, token) as client:
            yield Api(client, platform, datetime.now(UTC).replace(microsecond=0))


def registered(ref: str = REF, owner: str = "dana") -> VersionRegistered:
    return VersionRegistered(
        ref=ref, digest=DIGEST, files=(File(name="w", digest=DIGEST),), metadata=Metadata(owner=owner),
        registered_by="ci",
    )  # fmt: skip


def approved(until: datetime, ref: str = REF) -> VersionApproved:
    return VersionApproved(
        ref=ref, promotion="p1", context=LENDING, environment="production", expires_at=until, decision_digest=DIGEST
    )


def candidate(ref: str = REF) -> VersionBecameCandidate:
    return VersionBecameCandidate(ref=ref, promotion="p1")


async def test_a_version_is_shown_as_of_each_of_its_days(api: Api) -> None:
    ago = [api.began - n * DAY for n in range(4)]
    await api.happened(REF, (registered(), ago[3]), (candidate(), ago[2]), (approved(api.began + DAY), ago[1]))
    states = [(await api.found(f"/v1/versions/{REF}", as_of=at))["state"] for at in reversed(ago[1:])]
    assert states == ["draft", "candidate", "approved"]
    then = await api.found(f"/v1/versions/{REF}", as_of=ago[2])
    assert (then["stream_version"], then["as_of"]) == (1, ago[2].isoformat().replace("+00:00", "Z"))


async def test_what_was_recorded_late_was_not_known_before(api: Api) -> None:
    first = await api.happened(REF, (registered(), api.began - 3 * DAY))
    last = await api.happened(REF, (candidate(), api.began - 2 * DAY))
    as_of = api.began - DAY
    assert (await api.found(f"/v1/versions/{REF}", as_of=as_of))["state"] == "candidate"
    assert (await api.found(f"/v1/versions/{REF}", as_of=as_of, known_at=first))["state"] == "draft"
    assert (await api.found(f"/v1/versions/{REF}", known_at=last))["state"] == "candidate"


async def test_known_at_answers_as_the_present_did_then(api: Api) -> None:
    recorded = await api.happened(REF, (registered(), api.began - DAY), (candidate(), api.began))
    present = await api.found(f"/v1/versions/{REF}")
    await api.happened(REF, (approved(api.began + DAY), api.began))
    then = await api.found(f"/v1/versions/{REF}", known_at=recorded)
    assert {name: value for name, value in then.items() if name != "known_at"} == present


async def test_an_approval_runs_out_as_of_its_hour_even_where_that_is_ahead(api: Api) -> None:
    until = api.began + 30 * DAY
    await api.happened(REF, (registered(), api.began), (candidate(), api.began), (approved(until), api.began))

    async def in_force(**bounds: datetime) -> bool:
        found: bool = (await api.found(f"/v1/versions/{REF}", **bounds))["approvals"][0]["in_force"]
        return found

    assert await in_force()
    assert await in_force(as_of=until - timedelta(microseconds=1))
    assert not await in_force(as_of=until)


async def test_an_approval_that_expired_since_is_in_force_as_of_before(api: Api) -> None:
    until = api.began - DAY
    expired = ApprovalExpired(ref=REF, promotion="p1", context=LENDING, expired_at=until)
    early = api.began - 9 * DAY
    await api.happened(REF, (registered(), early), (candidate(), early), (approved(until), early))
    await api.happened(REF, (expired, api.began))
    for as_of, ended, in_force in ((until - DAY, None, True), (until, None, False), (api.began, "expired", False)):
        (found,) = (await api.found(f"/v1/versions/{REF}", as_of=as_of))["approvals"]
        assert (found["ended"], found["in_force"]) == (ended, in_force)


async def test_before_the_first_event_the_answer_says_since_when(api: Api) -> None:
    occurred = api.began - DAY
    recorded = await api.happened(REF, (registered(), occurred))
    early = await api.get(f"/v1/versions/{REF}", as_of=occurred - timedelta(seconds=1))
    assert (early.status_code, early.json()["field"]) == (404, "as_of")
    assert early.json()["fix"] == f"ask for as_of={occurred.isoformat()} or later"
    unknown = await api.get(f"/v1/versions/{REF}", known_at=recorded - timedelta(microseconds=1))
    assert (unknown.status_code, unknown.json()["field"]) == (404, "known_at")
    assert unknown.json()["fix"] == f"ask for known_at={recorded.isoformat()} or later"
    assert (await api.get(f"/v1/versions/{REF}", known_at=recorded)).status_code == 200


async def test_a_version_without_its_registration_is_no_version(api: Api) -> None:
    """A sender's clock ran ahead, so later events occurred before the first."""
    await api.happened(REF, (registered(), api.began), (candidate(), api.began - timedelta(seconds=9)))
    answer = await api.get(f"/v1/versions/{REF}", as_of=api.began - timedelta(seconds=5))
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:hallmark:problem:not-yet")


async def test_an_exception_granted_before_it_was_asked_for_is_left_out(api: Api) -> None:
    granted = ExceptionGranted(ref=REF, exception="e1", granted_by="lee", person="lee")
    await api.happened(REF, (registered(), api.began - DAY), (granted, api.began - DAY))
    assert (await api.found(f"/v1/versions/{REF}", as_of=api.began))["state"] == "draft"


@pytest.mark.parametrize("path", ["versions/model:no@1.0.0", "assets/model:no", "accounts/nobody", "policies/none"])
async def test_what_never_was_is_unknown_at_every_time(api: Api, path: str) -> None:
    for bounds in ({}, {"as_of": api.began}, {"known_at": api.began}):
        answer = await api.get(f"/v1/{path}", **bounds)
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:hallmark:problem:not-found")
        assert answer.json()["fix"]


@pytest.mark.parametrize(
    ("bounds", "why"),
    [
        ({"as_of": "yesterday"}, "is not an ISO 8601 time"),
        ({"as_of": "2026-03-01T12:00:00"}, "names no zone"),
        ({"known_at": "2026-03-01"}, "names no zone"),
        ({"known_at": "2026-03-01T12:00:00 01:00"}, "is not an ISO 8601 time"),
        ({"known_at": "9998-01-01T00:00:00Z"}, "ahead of this server's clock"),
        ({"as_of": "9999-12-31T23:59:59Z"}, "between the years"),
    ],
)
async def test_a_time_that_says_nothing_is_refused_precisely(api: Api, bounds: dict[str, str], why: str) -> None:
    for path in (f"versions/{REF}", "assets/model:risk", "policies/baseline", "accounts/root"):
        answer = await api.get(f"/v1/{path}", **bounds)
        assert (answer.status_code, answer.json()["field"]) == (422, *bounds)
        assert why in answer.json()["detail"]
        assert answer.json()["fix"]


async def test_an_asset_shows_all_versions_and_which_is_to_be_used(api: Api) -> None:
    refs = [f"model:risk@{n}" for n in ("1.0.0", "1.10.0", "1.9.0", "2.0.0-rc.1")]
    days = [api.began - n * DAY for n in (4, 3, 2, 1)]
    for ref, at in zip(refs, days, strict=True):
        await api.happened(ref, (registered(ref, owner=f"owner-{ref[-1]}"), at), (candidate(ref), at))
    await api.happened(refs[2], (approved(api.began + DAY, refs[2]), days[2]))
    await api.happened("model:risky@9.0.0", (registered("model:risky@9.0.0"), days[0]))
    found = await api.found("/v1/assets/model:risk")
    assert [v["ref"] for v in found["versions"]] == [refs[3], refs[1], refs[2], refs[0]]
    assert (found["newest"], found["newest_approved"]) == (refs[3], refs[2])
    assert found["owner"] == "owner-0"
    assert [v["state"] for v in found["versions"]] == ["candidate", "candidate", "approved", "candidate"]
    then = await api.found("/v1/assets/model:risk", as_of=days[1])
    assert ([v["ref"] for v in then["versions"]], then["newest_approved"]) == ([refs[1], refs[0]], None)
    expired = await api.found("/v1/assets/model:risk", as_of=api.began + 2 * DAY)
    assert expired["newest_approved"] is None


async def test_an_asset_before_its_first_version_says_since_when(api: Api) -> None:
    await api.happened(REF, (registered(), api.began))
    answer = await api.get("/v1/assets/model:risk", as_of=api.began - DAY)
    assert (answer.status_code, answer.json()["field"]) == (404, "as_of")
    assert (await api.get("/v1/assets/model:risk@1.0.0")).status_code == 422


async def test_an_account_shows_what_it_might_do_then(api: Api) -> None:
    created = (await api.platform.store.read_streams([account_stream("root")]))[account_stream("root")][-1].recorded_at
    await api.client.put("/v1/accounts/root/roles", json={"roles": ["admin", "auditor"]})
    token = (await api.client.post("/v1/accounts/root/tokens", json={})).json()["token_id"]
    now, then = await api.found("/v1/accounts/root"), await api.found("/v1/accounts/root", known_at=created)
    assert (now["roles"], then["roles"]) == (["admin", "auditor"], ["admin"])
    assert (len(now["tokens"]), len(then["tokens"])) == (2, 1)
    issued = (await api.platform.store.read_streams([account_stream("root")]))[account_stream("root")][-1].recorded_at
    await api.client.delete(f"/v1/accounts/root/tokens/{token}")
    assert len((await api.found("/v1/accounts/root"))["tokens"]) == 1
    assert len((await api.found("/v1/accounts/root", known_at=issued))["tokens"]) == 2


async def test_a_policy_shows_which_pack_was_active(api: Api) -> None:
    def activated(version: str) -> PolicyActivated:
        document = f"version: {version}"
        return PolicyActivated(
            name="house", version=version, digest=DIGEST, document=document, activated_by="lee"
        )  # fmt: skip

    stream = policy_stream("house")
    await api.happened(stream, (activated("1.0.0"), api.began - 2 * DAY), (activated("2.0.0"), api.began - DAY))
    assert (await api.found("/v1/policies/house/activation"))["version"] == "2.0.0"
    then = await api.found("/v1/policies/house/activation", as_of=api.began - 2 * DAY)
    assert (then["version"], then["activated_by"]) == ("1.0.0", "lee")
    text = await api.get("/v1/policies/house", as_of=api.began - 2 * DAY)
    assert text.text == "version: 1.0.0"
    assert (await api.get("/v1/policies/house", as_of=api.began - 3 * DAY)).json()["field"] == "as_of"


async def test_the_past_is_for_those_who_may_see_the_present(api: Api) -> None:
    await api.happened(REF, (registered(), api.began))
    await api.happened(account_stream("idle"), (RolesChanged(account="idle", roles=()), api.began))
    token = await token_of(api.platform, "reader", "viewer")
    headers = {"Authorization": f"Bearer {token}"}
    asked = {"known_at": datetime.now(UTC).isoformat()}
    status = {
        path: (await api.client.get(f"/v1/{path}", params=asked, headers=headers)).status_code
        for path in (f"versions/{REF}", "assets/model:risk", "accounts/root")
    }
    assert status == {f"versions/{REF}": 200, "assets/model:risk": 200, "accounts/root": 403}
    nobody = await api.client.get(f"/v1/versions/{REF}", params=asked, headers={"Authorization": "Bearer x"})
    assert nobody.status_code == 401


@pytest.mark.parametrize(("ahead", "status"), [(timedelta(minutes=4), 202), (timedelta(minutes=6), 422)])
async def test_a_sender_whose_clock_is_ahead(api: Api, ahead: timedelta, status: int) -> None:
    event = {
        "specversion": "1.0", "id": "e1", "source": "ci/7", "type": "io.hallmark.register-version.v1",
        "time": (datetime.now(UTC) + ahead).isoformat(), "data": {"ref": REF, "digest": DIGEST},
    }  # fmt: skip
    answer = await api.client.post("/v1/events", json=event, headers={"content-type": "application/cloudevents+json"})
    assert answer.status_code == status
    stored = (await api.platform.store.read_streams([REF]))[REF]
    if status == 202:
        assert stored[0].occurred_at <= stored[0].recorded_at + timedelta(seconds=1)
    else:
        assert not stored
        assert (answer.json()["field"], "ahead of this server's clock" in answer.json()["detail"]) == ("/time", True)
