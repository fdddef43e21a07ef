"""Given events on a version's stream, what does the lifecycle do about the next one?"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from hallmark_lifecycle.adapters.manifests import ManifestFolder
from hallmark_lifecycle.handlers import PROVISION, Target, end_approvals, provisioning, set_clocks, start_provisioning
from hallmark_lifecycle.manifest import Manifest
from registry_core.events import Event
from registry_core.events.evidence import ArtifactScanned, EvaluationAssessed, MetricResult
from registry_core.events.lifecycle import (
    ApprovalVoided,
    DeploymentProvisioned,
    ProvisioningFailed,
    RemediationClockStarted,
    RemediationClockStopped,
    VersionSuspended,
)
from registry_core.events.versions import DependencyChanged
from registry_core.handlers import Effect, Emit, Handler, StartJob
from registry_core.store.memory import MemoryEventStore
from registry_core.values import Severity
from support import MemoryReader, record
from unit.lifecycle.histories import (
    DAY,
    DIGEST,
    EXPIRES,
    NOW,
    REF,
    approved,
    deployed,
    registered,
    resolved,
    stored,
    vulnerable,
)

SERVING = (registered(), stored(), approved(), deployed())
FAILED = EvaluationAssessed(
    ref=REF, evidence_digest=DIGEST, suite="classifier-baseline", passed=False, evaluated_at=NOW, valid_days=90,
    results=(MetricResult(metric="accuracy", value=0.4, threshold=0.6, direction="at_least", passed=False),),
)  # fmt: skip
MALICIOUS = ArtifactScanned(
    ref=REF, file="model.skops", digest=DIGEST, scanner="walker", verdict="malicious", read_completely=True
)


def changed(dependency: str = "prompt:answer@1.0.0") -> DependencyChanged:
    newer = dependency.replace("@1.0.0", "@1.1.0")
    return DependencyChanged(ref=REF, dependency=dependency, newer=newer, newer_digest=DIGEST)


async def handled(handler: Handler, *events: Event, later: Sequence[Event] = ()) -> list[Event]:
    """What the handler emits for the last of the events, with later ones on the stream already; then it stands."""
    store = MemoryEventStore()
    found = await record(store, REF, *events)
    await record(store, REF, *later)
    effects = await handler(found[-1], MemoryReader(store))
    emitted = [data for effect in effects for data in emitted_by(effect)]
    await record(store, REF, *emitted)
    assert await handler(found[-1], MemoryReader(store)) == [], "handled again, it must do nothing new"
    return emitted


def emitted_by(effect: Effect) -> Sequence[Event]:
    assert isinstance(effect, Emit)
    assert effect.expected is not None, "what was decided on state names the state"
    return effect.events


async def test_a_critical_finding_on_a_version_in_service_starts_a_clock_for_its_owner() -> None:
    (clock,) = await handled(set_clocks, *SERVING, vulnerable())
    assert clock == RemediationClockStarted(
        ref=REF, finding="CVE-1", owner="alice", due=NOW + 7 * DAY, escalate_to="risk-office"
    )


@pytest.mark.parametrize(
    "history",
    [
        (*SERVING, vulnerable(severity=Severity.HIGH)),
        (registered(), approved(), vulnerable()),
        (registered(), vulnerable()),
        (*SERVING, VersionSuspended(ref=REF, cause="x"), vulnerable()),
    ],
)
async def test_no_clock_runs_for_lesser_findings_or_out_of_service(history: Sequence[Event]) -> None:
    assert await handled(set_clocks, *history) == []


async def test_a_finding_known_before_the_deployment_starts_its_clock_with_it() -> None:
    (clock,) = await handled(set_clocks, registered(), vulnerable(), approved(), deployed())
    assert isinstance(clock, RemediationClockStarted)


async def test_a_clock_stops_when_the_last_affected_component_is_mended() -> None:
    clock = RemediationClockStarted(ref=REF, finding="CVE-1", owner="a", due=NOW, escalate_to="b")
    two = (*SERVING, vulnerable(), vulnerable(component="pkg:pypi/b@1"), clock)
    assert await handled(set_clocks, *two, resolved()) == []
    (stopped,) = await handled(set_clocks, *two, resolved(), resolved(component="pkg:pypi/b@1"))
    assert stopped == RemediationClockStopped(ref=REF, finding="CVE-1", cause="rebuilt without it")


@pytest.mark.parametrize("cause", [FAILED, MALICIOUS, changed(), changed("adapter:tone@1.0.0")])
async def test_what_an_approval_rests_on_changes_and_it_is_void(cause: Event) -> None:
    (voided,) = await handled(end_approvals, *SERVING, cause)
    assert isinstance(voided, ApprovalVoided)
    assert voided.promotion == "p1"
    assert voided.cause


@pytest.mark.parametrize(
    "event",
    [
        FAILED.model_copy(update={"passed": True, "results": ()}),
        FAILED.model_copy(update={"results": (), "problem": "/format: Field required"}),
        MALICIOUS.model_copy(update={"verdict": "review"}),
        changed("dataset:loans@1.0.0"),
        changed("model:base@1.0.0"),
    ],
)
async def test_what_changes_nothing_in_service_voids_nothing(event: Event) -> None:
    assert await handled(end_approvals, *SERVING, event) == []


async def test_an_approval_given_after_the_failure_knew_of_it() -> None:
    assert await handled(end_approvals, registered(), FAILED, later=[approved()]) == []
    (voided,) = await handled(end_approvals, registered(), approved("p1"), FAILED, later=[approved("p2")])
    assert isinstance(voided, ApprovalVoided)
    assert voided.promotion == "p1"


async def test_an_approved_model_is_provisioned_and_a_dataset_is_not() -> None:
    store = MemoryEventStore()
    (event,) = await record(store, REF, approved())
    assert await start_provisioning(event, MemoryReader(store)) == [
        StartJob(PROVISION, {"ref": REF, "promotion": "p1"}, priority=10)
    ]
    (event,) = await record(store, "dataset:loans@1.0.0", approved(ref="dataset:loans@1.0.0"))
    assert await start_provisioning(event, MemoryReader(store)) == []


class BrokenTarget:
    name = "kserve"

    async def apply(self, manifest: Manifest) -> str:
        raise PermissionError(13, "Permission denied")


async def provisioned(target: Target, *events: Event, now: datetime = NOW) -> list[Event]:
    store = MemoryEventStore()
    await record(store, REF, *events)
    effects = await provisioning(target)({"ref": REF, "promotion": "p1"}, MemoryReader(store, now))
    return [data for effect in effects for data in emitted_by(effect)]


async def test_provisioning_writes_a_manifest_that_names_version_digest_and_promotion(tmp_path: Path) -> None:
    (event,) = await provisioned(ManifestFolder(tmp_path), registered(), stored(), approved())
    assert isinstance(event, DeploymentProvisioned)
    path = Path(event.location)
    assert path.parent == tmp_path / "production"
    manifest = yaml.safe_load(path.read_bytes())
    assert manifest["kind"] == "InferenceService"
    annotations = manifest["metadata"]["annotations"]
    assert annotations["hallmark.io/model-version"] == REF
    assert annotations["hallmark.io/digest"] == DIGEST
    assert annotations["hallmark.io/promotion"] == "p1"
    predictor = manifest["spec"]["predictor"]
    assert predictor["model"] == {
        "modelFormat": {"name": "sklearn"}, "storageUri": "s3://bucket/sha256/ab/abc",
    }  # fmt: skip
    assert set(predictor["logger"]["metadataAnnotations"]) <= annotations.keys()
    assert predictor["logger"]["url"].startswith("http")
    assert [p.name for p in path.parent.iterdir()] == [path.name], "no draft stays behind"


async def test_provisioning_again_gives_the_same_manifest_and_no_second_event(tmp_path: Path) -> None:
    history = (registered(), stored(), approved())
    (first,) = await provisioned(ManifestFolder(tmp_path), *history)
    (again,) = await provisioned(ManifestFolder(tmp_path), *history)
    assert first == again
    assert await provisioned(ManifestFolder(tmp_path), *history, first) == []


async def test_an_environment_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    (event,) = await provisioned(
        ManifestFolder(tmp_path / "in"), registered(), stored(), approved(environment="../out")
    )
    assert isinstance(event, DeploymentProvisioned)
    assert Path(event.location).resolve().is_relative_to(tmp_path / "in")


@pytest.mark.parametrize(
    ("history", "told"),
    [
        ((registered(), approved()), "model.skops"),
        ((registered().model_copy(update={"format": None}), stored(), approved()), "format"),
        ((*SERVING[:3], ApprovalVoided(ref=REF, promotion="p1", cause="prompt changed")), "prompt changed"),
        ((*SERVING[:3], VersionSuspended(ref=REF, cause="x")), "suspended"),
    ],
)
async def test_what_cannot_be_deployed_is_recorded_with_the_reason(
    history: Sequence[Event], told: str, tmp_path: Path
) -> None:
    (event,) = await provisioned(ManifestFolder(tmp_path), *history)
    assert isinstance(event, ProvisioningFailed)
    assert told in event.reason
    assert list(tmp_path.iterdir()) == []


async def test_an_approval_that_expired_in_the_queue_is_not_deployed(tmp_path: Path) -> None:
    (event,) = await provisioned(ManifestFolder(tmp_path), registered(), stored(), approved(), now=EXPIRES)
    assert isinstance(event, ProvisioningFailed)


async def test_a_target_that_fails_is_recorded() -> None:
    (event,) = await provisioned(BrokenTarget(), registered(), stored(), approved())
    assert isinstance(event, ProvisioningFailed)
    assert "Permission denied" in event.reason
