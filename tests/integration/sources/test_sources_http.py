"""Sources over HTTP: connected, rotated, tried, disconnected; deliveries proven, kept, handled once, and replayed."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from registry_core import inbox
from registry_core.events.governance import AccountCreated, RolesChanged
from registry_core.events.sources import ExternalChangeAnnounced, SourceConnected
from registry_core.identity import account_stream
from registry_core.messaging.jobs import JobRunner
from registry_core.source_polls import record_poll
from registry_core.store import ANY, Append
from registry_core.values import asset_stream
from support import new, until
from support_inbox import NOWHERE, Inbox
from support_sources import (
    KINDS,
    SECRET,
    Sent,
    github,
    huggingface,
    kserve,
    mlflow,
    release,
    sagemaker,
    sent_by,
    wandb,
    workflow_run,
)

WRONG = "not-the-secret-at-all"


async def test_a_source_is_connected_and_its_secret_shown_once(sources: Inbox) -> None:
    await sources.connect("github", "other")
    body = {"name": "hooks", "kind": "github", "account": "other-feed"}
    made = await sources.admin.post("/v1/sources", json=body)
    secret = made.json()["secret"]
    assert made.status_code == 201
    assert len(secret) >= 32
    assert secret in json.dumps(made.json()["paste"])
    assert made.json()["webhook_url"].endswith("/v1/sources/hooks/deliveries")
    assert (await sources.send("hooks", release(secret=secret))).status_code == 202
    (event,) = await sources.events("source:hooks")
    assert isinstance(event.data, SourceConnected)
    assert made.json()["log_index"] is not None
    for path in ("/v1/sources", "/v1/sources/hooks", "/v1/sources/hooks/deliveries"):
        assert secret not in (await sources.admin.get(path)).text
    assert secret.encode() not in (event.body or b"")


async def test_a_retried_connection_shows_the_same_secret_and_writes_one_event(sources: Inbox) -> None:
    await sources.connect("github", "other")
    body = {"name": "hooks", "kind": "github", "account": "other-feed"}
    key = {"Idempotency-Key": "k1"}
    one, two = [await sources.admin.post("/v1/sources", json=body, headers=key) for _ in range(2)]
    assert one.json()["secret"] == two.json()["secret"]
    assert len(await sources.events("source:hooks")) == 1
    other = await sources.admin.post("/v1/sources", json={**body, "url": "https://x.example"}, headers=key)
    assert (other.status_code, other.json()["type"]) == (422, "urn:hallmark:problem:idempotency-key-reused")


async def test_secrets_are_wrapped_where_they_are_kept(sources: Inbox) -> None:
    await sources.connect("github")
    rows = await sources.platform.pool.fetch("select * from secrets.sources")
    assert len(rows) == 1
    assert SECRET.encode() not in rows[0]["wrapped"]


async def test_connecting_again_with_the_same_values_says_nothing_new(sources: Inbox) -> None:
    await sources.connect("mlflow")
    body = {"name": "mlflow", "kind": "mlflow", "account": "mlflow-feed", "url": NOWHERE}
    again = await sources.admin.post("/v1/sources", json=body)
    assert (again.status_code, "secret" in again.json()) == (201, False)
    since = again.json()["connected_at"]
    changed = (await sources.admin.post("/v1/sources", json={**body, "url": "http://127.0.0.1:7"})).json()
    assert (changed["url"], "secret" in changed, changed["connected_at"]) == ("http://127.0.0.1:7", False, since)
    assert len(await sources.events("source:mlflow")) == 2
    assert (await sources.send("mlflow", mlflow())).status_code == 202


@pytest.mark.parametrize(
    ("change", "status", "what"),
    [
        ({"account": "nobody"}, 404, "hallmark account create nobody"),
        ({"account": "alice"}, 422, "person"),
        ({"secret": "short"}, 400, "secret"),
        ({"kind": "gitlab"}, 400, "kind"),
        ({"name": "No Name"}, 400, "name"),
        ({"url": "ftp://x"}, 400, "url"),
        ({"kind": "mlflow"}, 422, "--url"),
    ],
)
async def test_what_cannot_be_connected_is_told(sources: Inbox, change: dict[str, str], status: int, what: str) -> None:
    person = AccountCreated(account="alice", kind="human", person="alice")
    await sources.platform.store.append(Append(account_stream("alice"), [new(person)], ANY))
    await sources.connect("github", "other")
    body = {"name": "hooks", "kind": "github", "account": "other-feed", **change}
    answer = await sources.admin.post("/v1/sources", json=body)
    assert answer.status_code == status, answer.text
    assert what in answer.text


async def test_after_a_rotation_both_secrets_are_taken_until_the_grace_is_over(sources: Inbox) -> None:
    await sources.connect("mlflow")
    rotated = await sources.admin.post("/v1/sources/mlflow/rotate", json={"grace_seconds": 3600})
    secret = rotated.json()["secret"]
    assert rotated.status_code == 200
    assert [(await sources.send("mlflow", mlflow(secret=s))).status_code for s in (SECRET, secret)] == [202, 202]
    await sources.admin.post("/v1/sources/mlflow/rotate", json={"secret": "a-third-secret-for-it", "grace_seconds": 0})
    statuses = [(await sources.send("mlflow", mlflow(secret=s))).status_code for s in (SECRET, secret)]
    assert statuses == [401, 401]
    assert (await sources.send("mlflow", mlflow(secret="a-third-secret-for-it"))).status_code == 202
    assert await sources.platform.pool.fetchval("select count(*) from secrets.sources") == 1


async def test_a_disconnected_source_is_as_one_that_never_was(sources: Inbox) -> None:
    await sources.connect("mlflow")
    done = await sources.admin.post("/v1/sources/mlflow/disconnect", json={"reason": "server is gone"})
    assert done.status_code == 200
    assert await sources.platform.pool.fetchval("select count(*) from secrets.sources") == 0
    gone, never = await sources.send("mlflow", mlflow()), await sources.send("nothing", mlflow())
    assert (gone.status_code, gone.json()) == (never.status_code, never.json()) == (401, gone.json())
    again = await sources.admin.post("/v1/sources/mlflow/disconnect", json={"reason": "again"})
    assert again.status_code == 404


@pytest.mark.parametrize("kind", KINDS)
async def test_a_wrong_proof_and_an_unknown_source_give_one_answer(sources: Inbox, kind: str) -> None:
    await sources.connect(kind)
    wrong = await sources.send(kind, sent_by(kind, secret=WRONG))
    unknown = await sources.send("nothing", sent_by(kind, secret=WRONG))
    counted = {"ratelimit"}  # of the sender's address, whatever it asks
    told = [
        (answer.status_code, answer.json(), {k: v for k, v in answer.headers.items() if k not in counted})
        for answer in (wrong, unknown)
    ]
    assert told[0] == told[1]
    assert wrong.status_code == 401
    (kept,) = await sources.listed(kind)
    assert (kept["outcome"], kept["kind"]) == ("refused", kind)
    assert "another secret" in kept["reason"]
    assert await sources.platform.pool.fetchval("select count(*) from work.deliveries") == 1


@pytest.mark.parametrize("name", ["..", "%00", "a" * 500, "A", "é", "%ff", "x%2Fy"])
async def test_no_name_of_a_source_does_harm(sources: Inbox, name: str) -> None:
    assert (await sources.send(name, mlflow())).status_code in (400, 401, 404, 405)


async def test_of_refused_deliveries_the_newest_few_are_kept_and_cut(sources: Inbox) -> None:
    await sources.connect("github")
    junk = Sent({"content-type": "application/json"}, b"x" * (inbox.REFUSED_BYTES + 1))
    for _ in range(inbox.REFUSED_KEPT + 5):
        assert (await sources.send("github", junk)).status_code == 401
    kept = await sources.listed("github", limit="1000")
    assert len(kept) == inbox.REFUSED_KEPT
    assert len((await sources.show(kept[0]["id"]))["text"]) == inbox.REFUSED_BYTES


async def test_keeping_a_refused_delivery_reads_nothing_of_what_was_taken(
    sources: Inbox, owner: asyncpg.Connection
) -> None:
    """Anybody may send one: with the index of all deliveries, each would read every delivery of the source."""
    await owner.execute(
        """insert into work.deliveries (id, source, kind, key, headers, body, body_sha256, received_at, outcome)
           select gen_random_uuid(), 'github', 'github', n::text, '{}', '', '', now() - n * interval '1 second', 'taken'
             from generate_series(1, 5000) n"""
    )
    await owner.execute("analyze work.deliveries")
    plan = await owner.fetchval(
        f"explain (analyze, buffers, format json) {inbox.FORGET_REFUSED}", "github", inbox.REFUSED_KEPT
    )
    found = json.loads(plan)[0]["Plan"]
    assert found["Shared Hit Blocks"] + found["Shared Read Blocks"] < 10


async def test_a_body_that_is_too_large_is_refused_whoever_sends_it(sources: Inbox) -> None:
    await sources.connect("github")
    for name in ("github", "nothing"):
        answer = await sources.send(name, Sent({"content-type": "application/json"}, b"x" * (2 * 1024**2 + 1)))
        assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


async def test_a_delivery_from_too_long_ago_is_told_so_and_has_no_effect(sources: Inbox) -> None:
    await sources.connect("mlflow")
    answer = await sources.send("mlflow", mlflow(at=datetime.now(UTC) - timedelta(hours=1)))
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:hallmark:problem:stale-delivery")
    assert [row["outcome"] for row in await sources.listed("mlflow")] == ["refused"]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_same_delivery_again_is_known_and_changes_nothing(sources: Inbox, kind: str) -> None:
    await sources.connect(kind)
    sent = sent_by(kind)
    first = await sources.deliver(kind, sent)
    again = await sources.send(kind, sent)
    assert (again.status_code, again.json()["known"], again.json()["delivery"]) == (200, True, first["id"])
    assert len(await sources.listed(kind)) == 1


async def test_what_github_signed_is_the_same_delivery_under_any_id(sources: Inbox) -> None:
    """Its signature does not cover the id: whoever saw a delivery could send it again under another one."""
    await sources.connect("github")
    first = await sources.deliver("github", sent_by("github"))
    seen = sent_by("github")
    again = await sources.send("github", Sent({**seen.headers, "x-github-delivery": "another"}, seen.body))
    assert (again.status_code, again.json()["known"], again.json()["delivery"]) == (200, True, first["id"])


@pytest.mark.parametrize("kind", ["mlflow", "kserve"])
async def test_the_same_id_with_another_body_is_a_conflict_and_kept(sources: Inbox, kind: str) -> None:
    await sources.connect(kind)
    if kind == "mlflow":
        one, other = (mlflow({"name": name}, delivery="d-1") for name in ("a", "b"))
    else:
        one = kserve(id="d-1")
        other = Sent(one.headers, b'{"other": 1}')
    assert (await sources.send(kind, one)).is_success
    answer = await sources.send(kind, other)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:hallmark:problem:same-id-other-content")
    outcomes = sorted(row["outcome"] for row in await sources.listed(kind))
    assert "conflict" in outcomes
    assert len(outcomes) == 2
    conflict = next(row for row in await sources.listed(kind) if row["outcome"] == "conflict")
    assert (await sources.show(conflict["id"]))["text"] == other.body.decode()
    assert (await sources.admin.post(f"/v1/deliveries/{conflict['id']}/replay")).status_code == 409


@pytest.mark.parametrize(
    ("kind", "sent", "asked"),
    [("mlflow", mlflow(), "credit-risk"), ("huggingface", huggingface(), "acme/bert")],
)
async def test_a_hint_has_the_source_asked(idle: Inbox, kind: str, sent: Sent, asked: str) -> None:
    await idle.connect(kind)
    delivery = (await idle.send(kind, sent)).json()["delivery"]
    await run_jobs(idle)
    found = await idle.show(delivery)
    assert (found["outcome"], asked in found["told"][0]) == ("taken", True)
    (row,) = await idle.platform.pool.fetch("select payload from work.jobs where kind = 'observe'")
    payload = json.loads(row["payload"])
    assert (payload["source"], payload["object"], payload["delivery"]) == (kind, asked, found["key"])
    assert payload["announces"]


async def run_jobs(inbox_: Inbox) -> None:
    """As the service does, until none waits."""
    service = next(service for service in inbox_.services if service.name == "ingestion")
    platform = inbox_.platform
    runner = JobRunner("ingestion", service.jobs, platform.pool, platform.notifier, platform.clock)
    while await runner.run_next():
        pass


async def test_what_was_answered_is_done_by_whoever_comes_after_a_kill(idle: Inbox) -> None:
    """Nothing runs between the answer and the end of the process but what the next one finds."""
    await idle.connect("github")
    answer = await idle.send("github", release())
    assert (answer.status_code, await idle.events("code:widget@1.2.3")) == (202, [])
    assert (await idle.show(answer.json()["delivery"]))["outcome"] == "waiting"
    await run_jobs(idle)
    assert len(await idle.events("code:widget@1.2.3")) == 1


async def test_a_job_killed_after_its_registration_registers_once(idle: Inbox) -> None:
    await idle.connect("github")
    delivery = (await idle.send("github", release())).json()["delivery"]
    handle = next(s for s in idle.services if s.name == "ingestion").jobs[inbox.HANDLE_DELIVERY]
    await handle({"delivery": delivery}, idle.platform.reader)  # and here it is killed: its outcome is not written
    assert (await idle.show(delivery))["outcome"] == "waiting"
    await run_jobs(idle)
    assert (await idle.show(delivery))["told"] == ["code:widget@1.2.3 is known"]
    assert len(await idle.events("code:widget@1.2.3")) == 1


async def test_a_release_registers_a_draft_in_the_account_s_name(sources: Inbox) -> None:
    await sources.connect("github")
    found = await sources.deliver("github", release())
    assert (found["outcome"], found["told"]) == ("taken", ["code:widget@1.2.3 is registered"])
    version = (await sources.admin.get("/v1/versions/code:widget@1.2.3")).json()
    assert (version["state"], version["registered_by"]) == ("draft", "github-feed")
    (event,) = await sources.events("code:widget@1.2.3")
    assert (event.actor, event.occurred_at) == ("github-feed", datetime(2026, 3, 1, 12, tzinfo=UTC))


async def test_a_release_moved_to_other_content_is_a_failure_with_its_reason(sources: Inbox) -> None:
    await sources.connect("github")
    await sources.deliver("github", release(content=b"one"))
    found = await sources.deliver("github", release(content=b"two"))
    assert (found["outcome"], "content never changes" in found["reason"]) == ("failed", True)


async def test_without_the_role_a_delivery_fails_until_it_is_given_and_replayed(sources: Inbox) -> None:
    await sources.connect("github", roles=())
    failed = await sources.deliver("github", release())
    assert failed["outcome"] == "failed"
    assert "github-feed" in failed["reason"]
    assert "hallmark account roles github-feed --role contributor" in failed["reason"]
    roles = RolesChanged(account="github-feed", roles=("contributor",))
    await sources.platform.store.append(Append(account_stream("github-feed"), [new(roles)], ANY))
    assert (await sources.admin.post(f"/v1/deliveries/{failed['id']}/replay")).status_code == 202
    found = await sources.settled(failed["id"])
    assert (found["outcome"], found["replays"]) == ("taken", 1)
    assert len(await sources.events("code:widget@1.2.3")) == 1


@pytest.mark.parametrize("sent", [release(), workflow_run(), sagemaker()])
async def test_a_replay_of_what_was_taken_brings_nothing_about_again(sources: Inbox, sent: Sent) -> None:
    kind = "sagemaker" if "x-hallmark-secret" in sent.headers else "github"
    await sources.connect(kind)
    found = await sources.deliver(kind, sent)
    for ref in await sources.platform.store.streams_under("code:"):
        await until(lambda ref=ref: sources.events(asset_stream(ref)))  # what follows from a registration
    before = await sources.platform.pool.fetchval("select count(*) from log.events")
    for _ in range(2):
        assert (await sources.admin.post(f"/v1/deliveries/{found['id']}/replay")).status_code == 202
        assert (await sources.settled(found["id"]))["outcome"] == "taken"
    assert await sources.platform.pool.fetchval("select count(*) from log.events") == before


def announced(events: Any) -> list[tuple[str, Any, Any]]:
    found = [event.data for event in events]
    assert all(isinstance(data, ExternalChangeAnnounced) for data in found)
    return [(each.aspect, each.before, each.after) for data in found for each in data.differences]


async def test_sagemaker_s_states_are_told_with_what_was_before_and_said_once(sources: Inbox) -> None:
    await sources.connect("sagemaker")
    start = datetime.now(UTC) - timedelta(minutes=5)
    statuses = ("PendingManualApproval", "Approved", "Approved", "Rejected")
    sent = [sagemaker(status, at=start + timedelta(seconds=n)) for n, status in enumerate(statuses)]
    outcomes = [(await sources.deliver("sagemaker", each))["outcome"] for each in sent]
    assert outcomes == ["taken", "taken", "nothing", "taken"]
    late = await sources.deliver("sagemaker", sagemaker("Approved", at=start))
    assert late["outcome"] == "nothing", "an earlier state that comes late is not the state now"
    told = announced(await sources.events("external:sagemaker:credit"))
    states = [(before, after) for aspect, before, after in told if aspect == "approval of version 2"]
    assert states == [(None, "PendingManualApproval"), ("PendingManualApproval", "Approved"), ("Approved", "Rejected")]


async def test_a_state_that_comes_late_is_not_the_state_though_the_later_one_brought_no_news(sources: Inbox) -> None:
    await sources.connect("sagemaker")
    start = datetime.now(UTC) - timedelta(minutes=5)
    for status, second, outcome in (("Approved", 0, "taken"), ("Approved", 3, "nothing"), ("Rejected", 2, "nothing")):
        sent = sagemaker(status, at=start + timedelta(seconds=second))
        assert (await sources.deliver("sagemaker", sent))["outcome"] == outcome


async def test_wandb_s_alias_moves_are_told_with_before_and_after(sources: Inbox) -> None:
    await sources.connect("wandb")
    for version in ("v3", "v4"):
        await sources.deliver("wandb", wandb(artifact_version_string=version))
    told = announced(await sources.events("external:wandb:acme/model-registry/Credit"))
    assert told == [("alias champion", None, "v3"), ("alias champion", "v3", "v4")]
    events = await sources.events("external:wandb:acme/model-registry/Credit")
    assert b"rosa" not in b"".join(event.body or b"" for event in events)


async def test_a_workflow_run_is_an_announced_change_and_one_that_came_late_is_not(sources: Inbox) -> None:
    await sources.connect("github")
    await sources.deliver("github", workflow_run("failure", at="2026-03-01T12:00:00Z", run=1))
    await sources.deliver("github", workflow_run("success", at="2026-03-01T13:00:00Z", run=2))
    late = await sources.deliver("github", workflow_run("cancelled", at="2026-03-01T12:30:00Z", run=3))
    assert late["outcome"] == "nothing"
    told = announced(await sources.events("external:github:acme/widget"))
    assert [(b and b["conclusion"], a["conclusion"]) for _, b, a in told] == [(None, "failure"), ("failure", "success")]


async def test_an_inference_event_is_counted_where_those_of_kafka_are(sources: Inbox) -> None:
    await sources.connect("kserve")
    sent = kserve()
    found = await sources.deliver("kserve", sent)
    assert found["outcome"] == "taken"
    await sources.admin.post(f"/v1/deliveries/{found['id']}/replay")
    await sources.settled(found["id"])
    (window,) = await sources.events("serving:credit")
    assert json.loads(window.body or b"")["requests"] == 1
    assert b"customer-7" not in (window.body or b"")


async def test_an_inference_event_that_cannot_be_counted_fails_with_the_reason_of_lifecycle(sources: Inbox) -> None:
    await sources.connect("kserve")
    found = await sources.deliver("kserve", kserve(at=datetime.now(UTC) - timedelta(days=9)))
    assert (found["outcome"], "days ago" in found["reason"]) == ("failed", True)


async def test_what_cannot_be_read_is_kept_and_its_sender_told(sources: Inbox) -> None:
    await sources.connect("huggingface")
    answer = await sources.send("huggingface", huggingface().but(content_type="application/x-www-form-urlencoded"))
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:hallmark:problem:unreadable-delivery")
    assert "choose application/json" in answer.json()["detail"]
    assert [row["outcome"] for row in await sources.listed("huggingface", outcome="failed")] == ["failed"]


async def test_what_needs_nothing_is_answered_at_once(sources: Inbox) -> None:
    await sources.connect("github")
    answer = await sources.send("github", github("ping", {"zen": "Speak like a human."}))
    assert (answer.status_code, answer.json()["outcome"]) == (200, "nothing")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_trial_takes_each_step_and_has_no_effect(sources: Inbox, kind: str) -> None:
    await sources.connect(kind)
    before = await sources.platform.pool.fetchval("select count(*) from log.events")
    found = (await sources.admin.post(f"/v1/sources/{kind}/test", json={})).json()
    assert (found["ok"], found["test"]) == (True, True), found
    assert [step["step"] for step in found["steps"]] == ["proof", "time", "reading", "role"]
    assert SECRET not in json.dumps(found)
    assert await sources.listed(kind) == []
    assert await sources.platform.pool.fetchval("select count(*) from work.jobs") == 0
    assert await sources.platform.pool.fetchval("select count(*) from log.events") == before


@pytest.mark.parametrize(
    ("pasted", "step", "why"),
    [
        (mlflow(secret=WRONG), "proof", "another secret"),
        (mlflow(at=datetime.now(UTC) - timedelta(hours=2)), "time", "ago"),
        (mlflow().but(x_mlflow_signature=None), "proof", "no header x-mlflow-signature"),
        (mlflow().but(content_type="text/plain"), "reading", "choose application/json"),
    ],
)
async def test_a_pasted_delivery_says_why_it_was_refused(sources: Inbox, pasted: Sent, step: str, why: str) -> None:
    await sources.connect("mlflow")
    body = {"headers": dict(pasted.headers), "body": pasted.body.decode()}
    found = (await sources.admin.post("/v1/sources/mlflow/test", json=body)).json()
    assert (found["ok"], found["steps"][-1]["step"], why in found["steps"][-1]["detail"]) == (False, step, True)


async def test_a_trial_tells_that_the_account_has_no_role(sources: Inbox) -> None:
    await sources.connect("mlflow", roles=("viewer",))
    found = (await sources.admin.post("/v1/sources/mlflow/test", json={})).json()
    assert (found["steps"][-1]["step"], found["ok"]) == ("role", False)


async def test_the_list_tells_when_a_source_last_spoke_and_what_came_of_it(sources: Inbox) -> None:
    await sources.connect("github")
    await sources.deliver("github", release())
    await sources.send("github", Sent({}, b"junk"))
    (row,) = (await sources.admin.get("/v1/sources")).json()
    assert row["deliveries"] == {"refused": 1, "taken": 1}
    assert row["last_delivery_at"]


async def credentials(sources: Inbox) -> list[bytes]:
    return [row["wrapped"] for row in await sources.platform.pool.fetch("select wrapped from secrets.credentials")]


async def test_a_credential_is_kept_wrapped_and_shown_nowhere(sources: Inbox) -> None:
    await sources.connect("mlflow", credential="reader:first-s3cret")
    first = await credentials(sources)
    told = await sources.admin.put("/v1/sources/mlflow/credential", json={"credential": "reader:other-s3cret"})
    assert told.status_code == 200, told.text
    assert told.json()["credential_set_at"]
    (row,) = await credentials(sources)
    assert row != first[0]
    assert b"s3cret" not in row
    for path in ("/v1/sources", "/v1/sources/mlflow"):
        assert "other-s3cret" not in (text := (await sources.admin.get(path)).text)
        assert "credential_set_at" in text
    assert "other-s3cret" not in "".join(str(event.data) for event in await sources.events("source:mlflow"))


async def test_a_credential_goes_with_its_server(sources: Inbox) -> None:
    await sources.connect("mlflow", credential="reader:s3cret")
    body = {"name": "mlflow", "kind": "mlflow", "account": "mlflow-feed", "url": f"{NOWHERE}/below"}
    assert (await sources.admin.post("/v1/sources", json=body)).status_code == 201
    assert len(await credentials(sources)) == 1
    await sources.admin.post("/v1/sources", json={**body, "url": "http://127.0.0.2:9"})
    assert await credentials(sources) == []
    await sources.admin.put("/v1/sources/mlflow/credential", json={"credential": "t0ken"})
    await sources.admin.post("/v1/sources/mlflow/disconnect", json={"reason": "gone"})
    assert await credentials(sources) == []


async def test_a_credential_is_taken_away_by_null_and_refused_where_nothing_is_asked(sources: Inbox) -> None:
    await sources.connect("mlflow", credential="t0ken")
    await sources.admin.put("/v1/sources/mlflow/credential", json={"credential": None})
    assert await credentials(sources) == []
    await sources.connect("github")
    for name, text, status in (("github", "t0ken", 422), ("mlflow", "a\nb", 400), ("none", "t0ken", 404)):
        answer = await sources.admin.put(f"/v1/sources/{name}/credential", json={"credential": text})
        assert answer.status_code == status
        assert text not in answer.json()["detail"]


async def test_a_source_tells_what_the_last_poll_met(sources: Inbox) -> None:
    await sources.connect("mlflow")
    await record_poll(sources.platform.pool, "mlflow", "refused", "it refuses /api (401)", datetime.now(UTC))
    listed = (await sources.admin.get("/v1/sources")).json()[0]
    for found in (listed, (await sources.admin.get("/v1/sources/mlflow")).json()):
        assert (found["last_poll"]["outcome"], found["last_poll"]["reason"]) == ("refused", "it refuses /api (401)")


async def test_deliveries_are_forgotten_when_their_time_is_over_and_not_before_their_job(idle: Inbox) -> None:
    await idle.connect("github")
    await idle.send("github", github("ping", {"zen": "x"}))
    waiting = (await idle.send("github", release())).json()["delivery"]
    await inbox.prune(idle.platform.pool, datetime.now(UTC) + timedelta(seconds=1))
    assert [row["id"] for row in await idle.listed("github")] == [waiting]


async def test_an_erased_customer_is_in_no_delivery_any_more(sources: Inbox) -> None:
    await sources.connect("kserve")
    await sources.deliver("kserve", kserve())
    other = await sources.deliver("kserve", kserve(metadata='{"X-Hallmark-Customer": ["customer-77"]}'))
    erased = {"customer": "customer-7", "confirm": "customer-7", "reason": "ticket 12"}
    answer = await sources.admin.post("/v1/privacy/customers/erase", json=erased)
    assert answer.status_code == 200, answer.text
    rows = await sources.platform.pool.fetch("select headers::text as all from work.deliveries")
    assert sorted("customer-77" in row["all"] for row in rows) == [False, True]
    assert not any('customer-7\\"' in row["all"] for row in rows)
    assert "customer-77" in json.dumps((await sources.show(other["id"]))["headers"])


async def test_an_erased_person_is_in_no_delivery_any_more(sources: Inbox) -> None:
    body = {"account": "rosa", "person": "rosa", "roles": []}
    assert (await sources.admin.post("/v1/accounts", json=body)).status_code == 201
    await sources.connect("wandb")
    found = await sources.deliver("wandb", wandb())
    erased = {"person": "rosa", "confirm": "rosa", "reason": "ticket 13"}
    assert (await sources.admin.post("/v1/privacy/persons/erase", json=erased)).status_code == 200
    emptied = await sources.show(found["id"])
    assert (emptied["text"], emptied["reason"], emptied["outcome"]) == ("", "[erased]", "taken")
    assert (await sources.admin.post(f"/v1/deliveries/{found['id']}/replay")).status_code == 409
    assert (await sources.send("wandb", wandb())).json()["known"] is True


async def test_nobody_but_an_administrator_sees_or_changes_sources(sources: Inbox) -> None:
    await sources.connect("github")
    assert (await sources.outside.get("/v1/sources")).status_code == 401
    assert (await sources.outside.post("/v1/sources/github/test", json={})).status_code == 401


async def test_many_at_once_are_kept_once(sources: Inbox) -> None:
    await sources.connect("github")
    sent = release()
    answers = await asyncio.gather(*[sources.send("github", sent) for _ in range(12)])
    assert sorted({answer.status_code for answer in answers}) == [200, 202]
    assert len({answer.json()["delivery"] for answer in answers}) == 1

    async def registered() -> bool:
        return len(await sources.events("code:widget@1.2.3")) == 1

    assert await until(registered)
