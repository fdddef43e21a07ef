"""What comes in over HTTP and Kafka: precise errors, and nothing lost."""

import asyncio
import hashlib
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from hallmark_ingestion import bootstrap as ingestion
from hallmark_ledger import bootstrap as ledger
from registry_core.events import NewEvent, Origin, RecordedEvent
from registry_core.events.governance import AccountCreated
from registry_core.messaging.transport import InboundRecord
from registry_core.service import Platform
from registry_core.settings import Settings
from registry_core.store import Append
from support import http, new, running, token_of, until

CONTENT = b"the weights"
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
REF = "model:m@1.0.0"


@dataclass(frozen=True)
class Api:
    client: httpx.AsyncClient
    platform: Platform
    take_in: Any

    async def events(self, stream: str) -> list[RecordedEvent]:
        return (await self.platform.store.read_streams([stream]))[stream]


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[Api]:
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with running(alone, [ledger.build, ingestion.build]) as (platform, services):
        token = await token_of(platform, "ci", "contributor", "admin")
        async with http(platform, services, token) as client:
            yield Api(client, platform, services[1].inbound["mlops.events"])


def registration(**changes: Any) -> dict[str, Any]:
    return {"ref": REF, "files": [{"name": "w.bin", "digest": DIGEST, "size": len(CONTENT)}], **changes}


async def test_a_light_draft_needs_reference_and_checksum_alone(api: Api) -> None:
    answer = await api.client.post("/v1/versions", json={"ref": REF, "digest": DIGEST})
    assert answer.status_code == 201
    assert answer.json()["digest"] == DIGEST
    assert (await api.client.get(f"/v1/versions/{REF}")).json()["state"] == "draft"


async def test_the_answer_to_a_write_is_a_log_position(api: Api) -> None:
    answer = await api.client.post("/v1/versions", json=registration())
    found = await api.platform.store.read_log(answer.json()["log_index"], 1)
    assert found[0].stream == REF


async def test_registering_the_same_again_changes_nothing(api: Api) -> None:
    await api.client.post("/v1/versions", json=registration())
    assert (await api.client.post("/v1/versions", json=registration())).status_code == 201
    assert len(await api.events(REF)) == 1


async def test_other_content_under_the_name_is_a_conflict(api: Api) -> None:
    await api.client.post("/v1/versions", json=registration())
    answer = await api.client.post("/v1/versions", json={"ref": REF, "digest": "sha256:" + "1" * 64})
    assert answer.status_code == 409
    assert "new version number" in answer.json()["fix"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"ref": "model:m@one", "digest": DIGEST}, "/ref"),
        ({"ref": REF, "digest": "md5:1"}, "/digest"),
        ({"ref": REF, "digest": DIGEST, "colour": "red"}, "/colour"),
        ({"ref": REF, "files": [{"name": "../etc/passwd", "digest": DIGEST}]}, "/files/0/name"),
        ({"digest": DIGEST}, "/ref"),
    ],
)
async def test_an_invalid_body_names_the_field(api: Api, body: dict[str, Any], field: str) -> None:
    answer = await api.client.post("/v1/versions", json=body)
    assert answer.status_code == 400
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert await api.platform.pool.fetchval("select count(*) from log.streams where stream_id like 'model:%'") == 0


async def test_a_retry_with_its_key_answers_the_same_and_writes_once(api: Api) -> None:
    headers = {"Idempotency-Key": "run-17"}
    first = await api.client.post("/v1/versions", json=registration(), headers=headers)
    again = await api.client.post("/v1/versions", json=registration(), headers=headers)
    assert first.json()["log_index"] == again.json()["log_index"]


async def test_a_stale_expected_version_is_told_the_current_one(api: Api) -> None:
    await api.client.post("/v1/versions", json=registration())
    path, headers = f"/v1/versions/{REF}/metadata", {"If-Match": '"7"'}
    answer = await api.client.patch(path, json={"owner": "dana"}, headers=headers)
    assert answer.status_code == 412
    assert answer.json()["current_version"] == 0
    assert (await api.client.patch(path, json={"owner": "dana"}, headers={"If-Match": '"0"'})).status_code == 200


async def test_an_uploaded_file_is_kept_by_its_digest(api: Api) -> None:
    await api.client.post("/v1/versions", json=registration())
    answer = await api.client.put(f"/v1/versions/{REF}/files/w.bin", content=CONTENT)
    assert answer.status_code == 200
    assert await api.platform.objects.get(DIGEST) == CONTENT


async def test_a_wrong_checksum_leaves_nothing_behind(api: Api) -> None:
    await api.client.post("/v1/versions", json=registration())
    answer = await api.client.put(f"/v1/versions/{REF}/files/w.bin", content=CONTENT[:-1] + b"!")
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:hallmark:problem:wrong-digest")
    assert not await api.platform.objects.has(DIGEST)
    kept = [p for p in (api.platform.settings.data_dir / "objects").rglob("*") if p.is_file()]
    assert kept == []
    assert (await api.client.get(f"/v1/versions/{REF}")).json()["files"][0]["uri"] is None


async def test_an_upload_ends_where_it_is_longer_than_was_registered(api: Api) -> None:
    await api.client.post("/v1/versions", json=registration())
    answer = await api.client.put(f"/v1/versions/{REF}/files/w.bin", content=CONTENT + b"!")
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:hallmark:problem:wrong-size")
    assert "more bytes" in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"{", b'{"a": NaN}', b"\xff\xfe{", b'"\\ud800"', b""])
async def test_a_body_that_is_no_json_is_told_so_with_a_fix(api: Api, body: bytes) -> None:
    answer = await api.client.post("/v1/versions", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:hallmark:problem:invalid"
    assert answer.json()["fix"]


async def test_an_undeclared_file_is_refused_with_the_names_there_are(api: Api) -> None:
    await api.client.post("/v1/versions", json=registration())
    answer = await api.client.put(f"/v1/versions/{REF}/files/other.bin", content=CONTENT)
    assert answer.status_code == 404
    assert "w.bin" in answer.json()["fix"]


async def test_oversized_bodies_are_refused(api: Api) -> None:
    answer = await api.client.post("/v1/versions", content=b"x" * (5 * 1024 * 1024))
    assert answer.status_code == 413


async def test_a_newer_prompt_flags_the_versions_that_run_with_the_old_one(api: Api) -> None:
    prompt, newer = "prompt:p@1.0.0", "prompt:p@1.1.0"
    await api.client.post("/v1/versions", json={"ref": prompt, "digest": DIGEST})
    await api.client.post("/v1/versions", json=registration(metadata={"depends_on": [prompt]}))
    await api.client.post("/v1/versions", json={"ref": newer, "digest": "sha256:" + "2" * 64})

    async def flagged() -> list[Any]:
        return list((await api.client.get(f"/v1/versions/{REF}")).json()["changed_dependencies"])

    (changed,) = await until(flagged)
    assert (changed["dependency"], changed["newer"]) == (prompt, newer)


def cloudevent(**changes: Any) -> dict[str, Any]:
    event = {"specversion": "1.0", "id": "1", "source": "urn:ci", "type": "io.hallmark.register-version.v1"}
    return {**event, "data": registration(), **changes}


def on_kafka(value: bytes, headers: dict[str, str] | None = None) -> InboundRecord:
    return InboundRecord("mlops.events", 0, "1:1", None, headers or {}, value)


async def test_cloudevents_come_structured_binary_and_in_batches(api: Api) -> None:
    structured = await api.client.post(
        "/v1/events", content=json.dumps(cloudevent()), headers={"content-type": "application/cloudevents+json"}
    )
    assert structured.json() == {"id": "1", "ref": REF, "outcome": "registered"}
    binary = {
        "ce-specversion": "1.0",
        "ce-id": "2",
        "ce-source": "urn:ci",
        "ce-type": "io.hallmark.register-version.v1",
    }
    answer = await api.client.post("/v1/events", json=registration(ref="model:m@1.0.1"), headers=binary)
    assert answer.json()["outcome"] == "registered"
    batch = [cloudevent(id="3", data=registration(ref="model:m@1.0.2")), cloudevent(id="4", type="unknown.v1")]
    headers = {"content-type": "application/cloudevents-batch+json"}
    outcomes = (await api.client.post("/v1/events", content=json.dumps(batch), headers=headers)).json()
    assert [outcome["status"] for outcome in outcomes] == [202, 422]


async def test_a_redelivered_event_is_known(api: Api) -> None:
    record = on_kafka(json.dumps(cloudevent()).encode())
    assert await api.take_in([record, record]) == []
    assert len(await api.events(REF)) == 1


async def test_the_same_id_with_other_content_is_rejected_and_says_so(api: Api) -> None:
    await api.take_in([on_kafka(json.dumps(cloudevent()).encode())])
    other = cloudevent(data=registration(ref="model:other@1.0.0"))
    (rejection,) = await api.take_in([on_kafka(json.dumps(other).encode())])
    assert "same-id-other-content" in rejection.reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\xff\xfe", "not JSON"),
        (b"[]", "JSON object"),
        (json.dumps(cloudevent(specversion="0.3")).encode(), "/specversion"),
        (json.dumps(cloudevent(type="com.example.x")).encode(), "unknown-type"),
        (json.dumps(cloudevent(data={"ref": "nonsense"})).encode(), "/ref"),
        (b"x" * (300 * 1024), "too-large"),
        (b"[" * 100_000, "not JSON"),
    ],
)
async def test_a_bad_event_is_rejected_with_its_reason(api: Api, value: bytes, reason: str) -> None:
    (rejection,) = await api.take_in([on_kafka(value)])
    assert reason in rejection.reason


async def test_a_token_is_shown_once_and_only_its_hash_is_kept(api: Api) -> None:
    await api.client.post("/v1/accounts", json={"account": "bob", "roles": ["viewer"]})
    token = (await api.client.post("/v1/accounts/bob/tokens", json={})).json()["token"]
    answer = await api.client.get("/v1/whoami", headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["account"] == "bob"
    bodies = b"".join(event.body or b"" for event in await api.events("account:bob"))
    assert token.rsplit("_", 1)[1].encode() not in bodies


async def test_a_token_tells_until_when_it_is_good(api: Api) -> None:
    await api.client.post("/v1/accounts", json={"account": "bob", "roles": ["viewer"]})
    wanted = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    for body in ({}, {"expires_at": wanted}):
        issued = (await api.client.post("/v1/accounts/bob/tokens", json=body)).json()
        told = await api.client.get("/v1/whoami", headers={"Authorization": f"Bearer {issued['token']}"})
        assert told.json()["expires_at"] == issued["expires_at"]
        assert datetime.fromisoformat(issued["expires_at"]) > datetime.now(UTC)


async def test_whose_provenance_counts_is_for_administrators_to_say(api: Api) -> None:
    await api.client.post("/v1/accounts", json={"account": "bob", "roles": ["viewer"]})
    token = (await api.client.post("/v1/accounts/bob/tokens", json={})).json()["token"]
    key = {"public_key": "A" * 43 + "=", "purpose": "provenance"}
    headers = {"Authorization": f"Bearer {token}"}
    assert (await api.client.post("/v1/accounts/bob/signing-keys", json=key, headers=headers)).status_code == 403


async def test_a_key_sent_again_with_another_body_or_query_is_refused(api: Api) -> None:
    headers = {"Idempotency-Key": "run-18"}
    first = await api.client.post("/v1/versions", json=registration(), headers=headers)
    for other in (registration(format="onnx"), registration(ref="model:other@1.0.0")):
        answer = await api.client.post("/v1/versions", json=other, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:hallmark:problem:idempotency-key-reused")
    answer = await api.client.post("/v1/versions?x=1", json=registration(), headers=headers)
    assert answer.status_code == 422
    again = await api.client.post("/v1/versions", json=registration(), headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert await api.events("model:other@1.0.0") == []


async def test_a_refused_request_does_not_use_its_key_up(api: Api) -> None:
    headers = {"Idempotency-Key": "run-19"}
    itself = registration(metadata={"depends_on": [REF]})
    assert (await api.client.post("/v1/versions", json=itself, headers=headers)).status_code == 422
    assert (await api.client.post("/v1/versions", json=registration(), headers=headers)).status_code == 201


async def test_a_file_is_uploaded_with_a_key_as_well(api: Api) -> None:
    await api.client.post("/v1/versions", json=registration())
    for _ in range(2):
        path, headers = f"/v1/versions/{REF}/files/w.bin", {"Idempotency-Key": "run-20"}
        assert (await api.client.put(path, content=CONTENT, headers=headers)).status_code == 200


async def test_two_bodies_at_once_under_one_key_write_once(api: Api) -> None:
    headers = {"Idempotency-Key": "run-21"}
    refs = [f"model:m@1.0.{n}" for n in range(6)]
    sent = [api.client.post("/v1/versions", json=registration(ref=ref), headers=headers) for ref in refs]
    codes = sorted(answer.status_code for answer in await asyncio.gather(*sent))
    assert codes == [201, 422, 422, 422, 422, 422]


@pytest.mark.parametrize("encoded", ["01" + "00" * 31, "00" * 31 + "80", "ed" + "ff" * 30 + "7f"])
async def test_a_signing_key_that_anybody_can_use_is_refused(api: Api, encoded: str) -> None:
    key = {"public_key": b64encode(bytes.fromhex(encoded)).decode(), "purpose": "review"}
    answer = await api.client.post("/v1/accounts/ci/signing-keys", json=key)
    assert (answer.status_code, answer.json()["field"]) == (422, "/public_key")


@pytest.mark.parametrize("account", ["service:approval", "kafka:mlops"])
async def test_hallmarks_own_accounts_get_no_roles_tokens_or_keys(api: Api, account: str) -> None:
    await token_of(api.platform, account)
    path = f"/v1/accounts/{account}"
    key = {"public_key": "A" * 43 + "=", "purpose": "provenance"}
    answers = [
        await api.client.post("/v1/accounts", json={"account": account}),
        await api.client.put(f"{path}/roles", json={"roles": ["manager"]}),
        await api.client.post(f"{path}/tokens", json={}),
        await api.client.post(f"{path}/signing-keys", json=key),
    ]
    assert [(answer.status_code, answer.json()["field"]) for answer in answers] == [(422, "/account")] * 4
    assert len(await api.events(f"account:{account}")) == 3


async def test_a_token_expires_at_a_moment_with_an_offset(api: Api) -> None:
    answer = await api.client.post("/v1/accounts/ci/tokens", json={"expires_at": "2030-01-01T00:00:00"})
    assert (answer.status_code, answer.json()["field"]) == (400, "/expires_at")
    soon = datetime.now(timezone(timedelta(hours=2))) + timedelta(days=1)
    answer = await api.client.post("/v1/accounts/ci/tokens", json={"expires_at": soon.isoformat()})
    assert (answer.status_code, datetime.fromisoformat(answer.json()["expires_at"])) == (201, soon)


@pytest.mark.parametrize(
    "body",
    [
        b'{"ref":' + b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"ref":"\xff\xfe"}',
        b'{"\xff":1}',
        json.dumps(registration(format="a\0b")).encode(),
        json.dumps(registration(metadata={"purpose": "\0"})).encode(),
        json.dumps(registration(format="\ud800")).encode(),
        json.dumps(registration(ref="model:m@" + "9" * 4400 + ".0.0")).encode(),
        json.dumps({"ref": REF, "files": [{"name": "m", "digest": DIGEST, "size": 2**63}]}).encode(),
    ],
)
async def test_a_body_that_cannot_be_kept_is_the_callers_mistake(api: Api, body: bytes) -> None:
    answer = await api.client.post("/v1/versions", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/accounts/a%00b",
        f"/v1/versions/{REF}%00",
        "/v1/dead-letters?state=%00",
        "/v1/dead-letters/99999999999999999999999",
    ],
)
async def test_an_address_that_cannot_be_looked_up_is_the_callers_mistake(api: Api, path: str) -> None:
    assert (await api.client.get(path)).status_code == 400


@pytest.mark.parametrize("version", ["9" * 5000, "9" * 19, "x", ""])
async def test_if_match_takes_a_number_of_some_size(api: Api, version: str) -> None:
    await api.client.post("/v1/versions", json=registration())
    path = f"/v1/versions/{REF}/metadata"
    answer = await api.client.patch(path, json={"owner": "dana"}, headers={"If-Match": f'"{version}"'})
    assert (answer.status_code, answer.json()["field"]) == (400, "If-Match")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"time": "0001-01-01T00:00:00+14:00"}, "/time"),
        ({"time": "9999-12-31T23:59:59-14:00"}, "/time"),
        ({"id": "a\0"}, ""),
        ({"source": "\ud800"}, ""),
        ({"traceparent": "\0"}, ""),
        ({"data": registration(format="\0")}, ""),
        ({"data": registration(metadata={"purpose": "\udfff"})}, ""),
    ],
)
async def test_a_cloudevent_that_cannot_be_kept_is_malformed(api: Api, changes: dict[str, Any], field: str) -> None:
    body = json.dumps(cloudevent(**changes)).encode()
    answer = await api.client.post("/v1/events", content=body, headers={"content-type": "application/cloudevents+json"})
    assert (answer.status_code, answer.json().get("field", "")) == (400, field)
    (rejection,) = await api.take_in([on_kafka(body)])
    assert "malformed-event" in rejection.reason
    binary = {f"ce_{name}": text for name, text in cloudevent(**changes).items() if isinstance(text, str)}
    value = json.dumps(cloudevent(**changes)["data"]).encode()
    (rejection,) = await api.take_in([on_kafka(value, binary)])
    assert "malformed-event" in rejection.reason


async def test_what_the_database_cannot_hold_fails_alone_and_is_no_server_error(api: Api) -> None:
    good, bad = (AccountCreated(account=name, kind="human", person="p") for name in ("good", "bad"))
    origin = Origin(actor="a\0", occurred_at=datetime.now(UTC), correlation_id=uuid4())
    poisoned = NewEvent(id=uuid4(), data=bad, origin=origin)
    found = await asyncio.gather(
        api.platform.store.append(Append("account:good", [new(good)])),
        api.platform.store.append(Append("account:bad", [poisoned])),
        return_exceptions=True,
    )
    assert [isinstance(result, asyncpg.DataError) for result in found] == [False, True]
    assert len(await api.events("account:good")) == 1


async def test_garbage_is_refused_also_where_the_content_is_there_already(api: Api) -> None:
    await api.client.post("/v1/versions", json=registration())
    await api.platform.objects.put(CONTENT)
    answer = await api.client.put(f"/v1/versions/{REF}/files/w.bin", content=b"garbage")
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:hallmark:problem:wrong-digest")
    assert len(await api.events(REF)) == 1
    assert (await api.client.put(f"/v1/versions/{REF}/files/w.bin", content=CONTENT)).status_code == 200


@pytest.mark.parametrize("known", [True, False])
async def test_a_file_of_another_size_than_registered_is_refused(api: Api, known: bool) -> None:
    if known:
        await api.platform.objects.put(CONTENT)
    await api.client.post("/v1/versions", json=registration(files=[{"name": "w.bin", "digest": DIGEST, "size": 3}]))
    answer = await api.client.put(f"/v1/versions/{REF}/files/w.bin", content=CONTENT)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:hallmark:problem:wrong-size")
    assert len(await api.events(REF)) == 1
    assert await api.platform.objects.has(DIGEST) == known


@pytest.mark.parametrize(
    ("account", "person", "roles", "allowed"),
    [
        ("eve", "eve", ["contributor"], False),
        ("root", "root", ["admin"], False),
        ("ci-two", "ci", ["contributor"], True),
        ("olga", "olga", ["contributor"], True),
        ("ben-two", "Ben", ["contributor"], True),
        ("mia", "mia", ["manager"], True),
    ],
)
async def test_only_who_answers_for_a_version_writes_to_it(
    api: Api, account: str, person: str, roles: list[str], allowed: bool
) -> None:
    await token_of(api.platform, "ben", person="ben")
    await api.client.post("/v1/versions", json=registration(metadata={"owner": "olga", "backup_owner": "ben"}))
    token = await token_of(api.platform, account, *roles, person=person)
    statuses = await written_with(api, token)
    assert statuses == ([200, 200, 201] if allowed else [403, 403, 403])
    assert len(await api.events(REF)) == (4 if allowed else 1)


async def written_with(api: Api, token: str) -> list[int]:
    """The answers to a file, metadata and evidence, which this token's account sends."""
    path, headers = f"/v1/versions/{REF}", {"Authorization": f"Bearer {token}"}
    answers = [
        await api.client.put(f"{path}/files/w.bin", content=CONTENT, headers=headers),
        await api.client.patch(f"{path}/metadata", json={"purpose": "lending"}, headers=headers),
        await api.client.post(f"{path}/evidence?type=evaluation", json={"suite": "x"}, headers=headers),
    ]
    assert all("manager" in answer.json()["fix"] for answer in answers if answer.status_code == 403)
    return [answer.status_code for answer in answers]


async def test_the_owner_writes_to_what_came_over_a_topic(api: Api) -> None:
    event = cloudevent(data=registration(metadata={"owner": "olga"}))
    await api.take_in([on_kafka(json.dumps(event).encode())])
    eve = await token_of(api.platform, "eve", "contributor", person="kafka:mlops")
    assert await written_with(api, eve) == [403, 403, 403]
    assert await written_with(api, await token_of(api.platform, "olga", "contributor")) == [200, 200, 201]
