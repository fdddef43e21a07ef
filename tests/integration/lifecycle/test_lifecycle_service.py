"""Approval, provisioning, admission, clocks, sweeps and changes of state, over HTTP and a real log."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from hallmark_lifecycle.sweeper import Sweep, Sweeper
from registry_core.events.evidence import VulnerabilityFound
from registry_core.events.lifecycle import (
    ApprovalExpired,
    DeploymentProvisioned,
    OwnerWarned,
    RemediationClockStarted,
    VersionApproved,
)
from registry_core.events.versions import ArtifactStored, DependencyChanged, VersionRegistered
from registry_core.values import File, Metadata, Severity, State, UseContext, sha256_digest
from support import until

DAY = timedelta(days=1)
DIGEST = sha256_digest(b"weights")
FILE = File(name="model.skops", digest=DIGEST)
CONTEXT = UseContext(business_function="credit-scoring", data_class="personal", region="eu")
ASKED = {"environment": "production", "business_function": "credit-scoring", "data_class": "personal", "region": "eu"}


def ref(n: int = 1) -> str:
    return f"model:credit-risk@{n}.0.0"


async def approved(world: Any, version: str = ref(1), expires_in: timedelta = 90 * DAY) -> None:
    """Given: an approved version whose files are stored."""
    metadata = Metadata(owner="alice", escalation="risk-office", depends_on=("prompt:answer@1.0.0",))
    await world.given(
        version,
        VersionRegistered(
            ref=version, digest=DIGEST, files=(FILE,), format="skops", metadata=metadata, registered_by="ci"
        ),
        ArtifactStored(ref=version, file=FILE, uri="s3://bucket/sha256/ab/abc"),
        VersionApproved(
            ref=version, promotion="p1", context=CONTEXT, environment="production",
            expires_at=datetime.now(UTC) + expires_in, decision_digest=DIGEST,
        ),
    )  # fmt: skip


async def admitted(world: Any, auth: dict[str, str], version: str = ref(1), **changed: Any) -> dict[str, Any]:
    answer = await world.get("/v1/admission", auth, ref=version, **(ASKED | changed))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_approved_version_is_provisioned_once_and_admitted(world: Any) -> None:
    await approved(world)
    await world.settle()
    await world.platform.pool.execute("delete from work.watermarks")
    await world.platform.pool.execute("update work.jobs set state = 'waiting', lease_until = null")
    await world.settle()
    (deployed,) = await world.data(ref(1), DeploymentProvisioned)
    manifest = yaml.safe_load(Path(deployed.location).read_bytes())
    assert manifest["metadata"]["annotations"]["hallmark.io/model-version"] == ref(1)
    assert Path(deployed.location).is_relative_to(world.platform.settings.data_dir.absolute() / "deployments")
    answer = await admitted(world, await world.token("viv", "viewer"))
    assert (answer["allowed"], answer["state"], answer["digest"], answer["reasons"]) == (True, "approved", DIGEST, [])
    assert answer["approval"]["promotion"] == "p1"


async def test_admission_refuses_what_it_does_not_know(world: Any) -> None:
    auth = await world.token("viv", "viewer")
    answer = await admitted(world, auth, "model:unheard-of@1.0.0")
    assert (answer["allowed"], answer["state"]) == (False, None)
    assert answer["reasons"][0]["rule"] == "registered"
    assert (await world.get("/v1/admission", auth, ref="credit-risk", **ASKED)).status_code == 422
    assert (await world.get("/v1/admission", auth, ref=ref(1), **(ASKED | {"region": "a/b"}))).status_code == 422
    assert (await world.get("/v1/admission", auth, ref=ref(1))).status_code == 400
    assert (await world.get("/v1/admission", {}, ref=ref(1), **ASKED)).status_code == 401


async def test_admission_answers_as_of_a_time(world: Any) -> None:
    before = datetime.now(UTC) - timedelta(seconds=5)
    await approved(world)
    auth = await world.token("viv", "viewer")
    assert (await admitted(world, auth))["allowed"]
    assert (await admitted(world, auth, at=before.isoformat()))["reasons"][0]["rule"] == "registered"
    after = datetime.now(UTC) + 91 * DAY
    assert [r["rule"] for r in (await admitted(world, auth, at=after.isoformat()))["reasons"]] == ["approval"]


async def test_a_critical_finding_starts_a_clock_and_what_runs_goes_on(world: Any) -> None:
    await approved(world)
    await world.settle()
    found = VulnerabilityFound(
        ref=ref(1), advisory="HMSA-2026-0001", component="pkg:pypi/x@1", severity=Severity.CRITICAL
    )
    await world.given(ref(1), found)
    await world.settle()
    (clock,) = await world.data(ref(1), RemediationClockStarted)
    assert (clock.owner, clock.escalate_to) == ("alice", "risk-office")
    auth = await world.token("viv", "viewer")
    assert (await admitted(world, auth))["allowed"]
    late = (datetime.now(UTC) + 8 * DAY).isoformat()
    assert [r["rule"] for r in (await admitted(world, auth, at=late))["reasons"]] == ["remediation"]
    assert (await admitted(world, auth, at=late, new_use=False))["allowed"]


async def test_a_newer_prompt_voids_the_approval(world: Any) -> None:
    await approved(world)
    changed = DependencyChanged(
        ref=ref(1), dependency="prompt:answer@1.0.0", newer="prompt:answer@1.1.0", newer_digest=DIGEST
    )
    await world.given(ref(1), changed)
    await world.settle()
    answer = await admitted(world, await world.token("viv", "viewer"))
    assert "prompt:answer@1.1.0" in answer["reasons"][0]["detail"]


async def test_a_sweep_ends_what_is_over_and_again_does_nothing_new(world: Any) -> None:
    await approved(world, ref(1), 10 * DAY)
    await approved(world, ref(2), 100 * DAY)
    auth = await world.token("mona", "manager")
    as_of = datetime.now(UTC) + 11 * DAY
    first = await world.post("/v1/sweeps", auth, {"as_of": as_of.isoformat()})
    assert first.status_code == 201, first.text
    assert first.json()["events"] == [{"ref": ref(1), "type": ApprovalExpired.type}]
    assert first.json()["log_index"] is not None
    event = (await world.events(ref(1)))[-1]
    assert (event.occurred_at, event.actor) == (as_of, "mona")
    assert not (await admitted(world, auth))["allowed"]
    assert (await admitted(world, auth, ref(2)))["allowed"]
    again = await world.post("/v1/sweeps", auth, {"as_of": as_of.isoformat()})
    assert again.json()["events"] == []


async def test_sweeps_at_once_act_once(world: Any) -> None:
    for n in range(1, 6):
        await approved(world, ref(n), timedelta(seconds=-1))
    await world.projected()
    sweepers = [Sweeper(world.platform) for _ in range(4)]
    now = datetime.now(UTC)
    swept = await asyncio.gather(*(s.sweep(Sweep(now, f"s{n}", UUID(int=n))) for n, s in enumerate(sweepers)))
    assert sum(len(done.appended) for done in swept) == 5
    for n in range(1, 6):
        assert len(await world.data(ref(n), ApprovalExpired)) == 1


async def test_the_scheduler_warns_and_expires_by_itself(world: Any) -> None:
    await approved(world, ref(1), timedelta(seconds=-1))
    await approved(world, ref(2), 5 * DAY)
    await world.projected()
    scheduler, *_ = world.service.background
    task = asyncio.create_task(scheduler())
    try:
        await until(lambda: world.data(ref(1), ApprovalExpired))
        (warning,) = await until(lambda: world.data(ref(2), OwnerWarned))
    finally:
        task.cancel()
    assert warning.owner == "alice"
    assert (await world.events(ref(1)))[-1].actor == "service:lifecycle"


async def test_only_a_movable_clock_sweeps_the_future(strict_world: Any) -> None:
    auth = await strict_world.token("mona", "manager")
    refused = await strict_world.post("/v1/sweeps", auth, {"as_of": (datetime.now(UTC) + DAY).isoformat()})
    assert refused.status_code == 422
    assert "movable_clock" in refused.json()["fix"]
    assert (await strict_world.post("/v1/sweeps", auth, {})).status_code == 201
    assert (await strict_world.post("/v1/sweeps", auth, {"as_of": "2026-03-01T12:00:00"})).status_code == 400


async def test_a_version_is_suspended_reinstated_deprecated_and_retired(world: Any) -> None:
    await approved(world)
    auth = await world.token("mona", "manager")
    steps = [
        ("suspend", State.SUSPENDED),
        ("reinstate", State.APPROVED),
        ("deprecate", State.DEPRECATED),
        ("retire", State.RETIRED),
    ]
    for command, state in steps:
        answer = await world.post(f"/v1/versions/{ref(1)}/{command}", auth, {"cause": "planned"})
        assert answer.status_code == 201, answer.text
        assert answer.json()["state"] == state
        assert answer.json()["log_index"] is not None
        assert (await world.version(ref(1))).state == state
    refused = await world.post(f"/v1/versions/{ref(1)}/reinstate", auth, {"cause": "sorry"})
    assert refused.status_code == 409
    assert not (await admitted(world, auth))["allowed"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (f"{ref(9)}/retire", {"cause": "x"}, 404),
        (f"{ref(1)}/retire", {"cause": "x"}, 409),
        (f"{ref(1)}/reinstate", {"cause": "x"}, 409),
        (f"{ref(1)}/deprecate", {"cause": "x", "replacement": ref(7)}, 404),
        (f"{ref(1)}/deprecate", {"cause": "x", "replacement": ref(1)}, 409),
        (f"{ref(1)}/suspend", {"cause": " "}, 400),
        (f"{ref(1)}/suspend", {"cause": "x", "forever": True}, 400),
        ("credit-risk/suspend", {"cause": "x"}, 422),
    ],
)
async def test_what_cannot_be_done_is_refused_in_words(world: Any, path: str, body: Any, status: int) -> None:
    await approved(world)
    answer = await world.post(f"/v1/versions/{path}", await world.token("mona", "manager"), body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["detail"]


async def test_only_managers_change_states(world: Any) -> None:
    await approved(world)
    auth = await world.token("carl", "contributor")
    assert (await world.post(f"/v1/versions/{ref(1)}/suspend", auth, {"cause": "x"})).status_code == 403


async def test_a_repeated_command_is_one_command(world: Any) -> None:
    await approved(world)
    auth = await world.token("mona", "manager")
    answers = [
        await world.post(f"/v1/versions/{ref(1)}/suspend", auth, {"cause": "x"}, **{"Idempotency-Key": "k1"})
        for _ in range(2)
    ]
    assert [a.status_code for a in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
