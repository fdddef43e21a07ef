"""`mlflow.register_model` in a script that knows nothing of Hallmark: the version arrives as a draft, verified."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hallmark_ingestion import bootstrap as ingestion
from hallmark_ingestion.external.mlflow_state import announced
from hallmark_ingestion.external.observing import OBSERVE, Observer
from hallmark_ingestion.external.state import External
from hallmark_ledger import bootstrap as ledger
from registry_core.events.sources import ExternalVersionImported, ExternalVersionRefused
from registry_core.handlers import StartJob, load
from registry_core.service import Platform
from registry_core.settings import Settings
from registry_core.sources import external_stream
from registry_core.values import content_digest
from registry_core.version import Version
from support import running, token_of, until
from support_external import connect
from support_mlflow import TRAINING, MlflowServer, run_script

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("mlflow"), pytest.mark.timeout(300)]


@pytest.fixture
async def services(quick: Settings, mlflow: MlflowServer) -> AsyncIterator[Platform]:
    """Ingestion with its jobs, the source connected for an account that may register."""
    async with running(quick, [ledger.build, ingestion.build]) as (platform, _):
        await token_of(platform, "importer", "contributor")
        await connect(platform, "mlflow", mlflow.url)
        yield platform


async def deliver(platform: Platform, mlflow: MlflowServer, name: str) -> None:
    """What the receiver does with every webhook of this model."""
    for delivery, body in mlflow.deliveries:
        if body["data"]["name"] == name:
            aspects = announced(f"{body['entity']}.{body['action']}", body["data"])
            payload = {"source": "src", "object": name, "delivery": delivery, "announces": aspects}
            await Observer(platform).start({uuid4(): StartJob(OBSERVE, payload)})


async def arrived(platform: Platform, mlflow: MlflowServer, name: str) -> Any:
    """What became of version 1, once its webhook has come and was handled."""

    async def announced_version() -> bool:
        return any(b["entity"] == "model_version" and b["data"]["name"] == name for _, b in mlflow.deliveries)

    async def outcome() -> Any:
        (events,) = await platform.reader.read(external_stream("src", name))
        ends = (ExternalVersionImported, ExternalVersionRefused)
        return next((event.data for event in events if isinstance(event.data, ends)), None)

    await until(announced_version, 60)
    await deliver(platform, mlflow, name)
    return await until(outcome, 60)


async def test_an_unmodified_training_script_brings_a_draft_with_its_content(
    services: Platform, mlflow: MlflowServer, tmp_path: Path
) -> None:
    number, run = run_script(mlflow, TRAINING, tmp_path).split()[-2:]
    told = await arrived(services, mlflow, "churn")
    assert isinstance(told, ExternalVersionImported)
    assert (number, told.ref) == ("1", "model:churn@1.0.0")
    version = await load(services.reader, Version(), told.ref)
    assert (version.state, version.registered_by, version.digest) == ("draft", "importer", told.digest)
    assert (version.metadata.owner, version.metadata.risk_tier) == ("dana", "high")
    assert {"MLmodel", "requirements.txt", "conda.yaml"} <= {file.name for file in version.files}
    assert version.stored.keys() == {file.name for file in version.files}
    assert version.uploaded_by == {"importer"}
    events = (await services.reader.read(told.ref))[0]
    assert events[0].data.source == f"mlflow://src/churn/1?run={run}"
    await same_as_mlflow_serves(services, mlflow, version)


async def same_as_mlflow_serves(platform: Platform, mlflow: MlflowServer, version: Version) -> None:
    where = mlflow.ask("GET", "model-versions/get-download-uri?name=churn&version=1")["artifact_uri"]
    for file in version.files:
        served = mlflow.artifact(f"{where.removeprefix('mlflow-artifacts:/')}/{file.name}")
        assert file.digest == f"sha256:{hashlib.sha256(served).hexdigest()}"
        assert (await platform.objects.get(file.digest), file.size) == (served, len(served))
    assert version.digest == content_digest(version.files)


async def test_files_that_the_server_does_not_serve_are_told_and_not_guessed(
    services: Platform, mlflow: MlflowServer
) -> None:
    name = f"elsewhere-{uuid4().hex[:8]}"
    mlflow.model(name)
    mlflow.version(name, source="s3://bucket/model")
    told = await arrived(services, mlflow, name)
    assert isinstance(told, ExternalVersionRefused)
    assert "s3://bucket/model" in told.reason
    assert "--serve-artifacts" in told.fix
    assert not (await load(services.reader, Version(), f"model:{name}@1.0.0")).exists


@dataclass(frozen=True, slots=True)
class Folder:
    """Below the server's artifacts, in a run of its own."""

    path: str
    run: str

    def version(self, mlflow: MlflowServer, name: str, **tags: str) -> None:
        """A model of one version that has this folder for its content."""
        mlflow.model(name)
        given = [{"key": f"hallmark.{key}", "value": value} for key, value in tags.items()]
        mlflow.version(name, source=f"mlflow-artifacts:/{self.path}", run_id=self.run, tags=given)


@pytest.fixture
def folder(mlflow: MlflowServer) -> Folder:
    """With one small file."""
    run = mlflow.ask("POST", "runs/create", experiment_id="0", start_time=1)["run"]["info"]
    made = Folder(f"{run['artifact_uri'].removeprefix('mlflow-artifacts:/')}/model", run["run_id"])
    mlflow.put(f"{made.path}/weights.bin", b"weights")
    return made


@pytest.mark.parametrize(
    ("name", "tags", "where", "fix"),
    [
        ("with a space", {}, "/ref", "name it otherwise"),
        ("tagged", {"version": "one"}, "/ref", "name it otherwise"),
        ("tiered", {"risk_tier": "enormous"}, "tag hallmark.risk_tier", "correct the tag"),
    ],
)
async def test_what_no_version_of_ours_can_be_called_is_refused_with_the_place(
    services: Platform, mlflow: MlflowServer, folder: Folder, *, name: str, tags: dict[str, str], where: str, fix: str
) -> None:
    name = f"{name}-{uuid4().hex[:6]}"
    folder.version(mlflow, name, **tags)
    refused = await arrived(services, mlflow, name)
    assert isinstance(refused, ExternalVersionRefused)
    assert where in refused.reason
    assert fix in refused.fix


async def test_a_version_that_was_refused_comes_once_its_tag_is_mended(
    services: Platform, mlflow: MlflowServer, folder: Folder
) -> None:
    name = f"mended-{uuid4().hex[:6]}"
    folder.version(mlflow, name, risk_tier="enormous")
    assert isinstance(await arrived(services, mlflow, name), ExternalVersionRefused)
    mlflow.tag(name, "hallmark.risk_tier", "low", version="1")
    payload = {"source": "src", "object": name, "delivery": None}
    await Observer(services).start({uuid4(): StartJob(OBSERVE, payload)})

    async def imported() -> Version | None:
        known = await load(services.reader, External(), external_stream("src", name))
        if "1" not in known.imports:
            return None
        return await load(services.reader, Version(), known.imports["1"].ref)

    version = await until(imported, 60)
    assert version is not None
    assert (version.metadata.risk_tier, version.files[0].name) == ("low", "weights.bin")


async def test_a_file_that_a_version_cannot_name_refuses_the_whole_version(
    services: Platform, mlflow: MlflowServer, folder: Folder
) -> None:
    mlflow.put(f"{folder.path}/my weights.bin", b"more")
    name = f"spaced-{uuid4().hex[:6]}"
    folder.version(mlflow, name)
    told = await arrived(services, mlflow, name)
    assert isinstance(told, ExternalVersionRefused)
    assert "'my weights.bin'" in told.reason


async def test_an_account_that_may_not_register_brings_nothing(
    services: Platform, mlflow: MlflowServer, folder: Folder
) -> None:
    await token_of(services, "stranger", "viewer")
    await connect(services, "mlflow", mlflow.url, account="stranger")
    name = f"strange-{uuid4().hex[:6]}"
    folder.version(mlflow, name)
    told = await arrived(services, mlflow, name)
    assert isinstance(told, ExternalVersionRefused)
    assert "stranger" in told.reason
    assert "contributor" in told.fix
