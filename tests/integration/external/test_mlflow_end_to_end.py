"""A real MLflow and a real Hallmark, and between them the one webhook that `hallmark source connect` tells to make."""

from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
from registry_core.events.governance import AccountCreated, RolesChanged
from registry_core.events.sources import ExternalChangeAnnounced, ExternalVersionImported
from registry_core.handlers import load
from registry_core.identity import account_stream
from registry_core.service import Platform
from registry_core.settings import Settings
from registry_core.sources import external_stream
from registry_core.store.model import ANY, Append
from registry_core.version import Version
from support import new, served, token_of, until
from support_mlflow import MlflowServer

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("mlflow"), pytest.mark.timeout(300)]


@pytest.fixture
async def connected(quick: Settings, mlflow: MlflowServer) -> AsyncIterator[Platform]:
    """The source is connected over HTTP, and MLflow sends to the address with the secret that came back."""
    async with served(quick, ["ledger", "ingestion"]) as (platform, url):
        created = AccountCreated(account="importer", kind="service", person="importer")
        roles = RolesChanged(account="importer", roles=("contributor",))
        await platform.store.append(Append(account_stream("importer"), [new(created), new(roles)], ANY))
        headers = {"authorization": f"Bearer {await token_of(platform, 'root', 'admin')}"}
        about = {"name": "nightly", "kind": "mlflow", "account": "importer", "url": mlflow.url}
        async with httpx.AsyncClient(base_url=url, headers=headers) as admin:
            answer = await admin.post("/v1/sources", json=about)
        assert answer.is_success, answer.text
        made = answer.json()
        hook = mlflow.hook(made["webhook_url"], made["secret"])
        yield platform
        mlflow.ask("DELETE", f"webhooks/{hook}")


async def test_a_registered_model_version_arrives_by_a_signed_webhook_alone(
    connected: Platform, mlflow: MlflowServer
) -> None:
    name = f"signed-{uuid4().hex[:6]}"
    run = mlflow.ask("POST", "runs/create", experiment_id="0", start_time=1)["run"]["info"]
    mlflow.put(f"{run['artifact_uri'].removeprefix('mlflow-artifacts:/')}/model/weights.bin", b"weights")
    mlflow.model(name)
    mlflow.version(name, source=f"{run['artifact_uri']}/model", run_id=run["run_id"])

    async def imported() -> ExternalVersionImported | None:
        (events,) = await connected.reader.read(external_stream("nightly", name))
        return next((e.data for e in events if isinstance(e.data, ExternalVersionImported)), None)

    told = await until(imported, 60)
    assert told is not None
    version = await load(connected.reader, Version(), told.ref)
    assert (version.ref, version.registered_by) == (f"model:{name}@1.0.0", "importer")
    assert [file.name for file in version.files] == ["weights.bin"]

    mlflow.alias(name, "champion", "1")

    async def announced() -> list[str] | None:
        (events,) = await connected.reader.read(external_stream("nightly", name))
        found = [d.aspect for e in events if isinstance(e.data, ExternalChangeAnnounced) for d in e.data.differences]
        return found if "alias champion" in found else None

    assert await until(announced, 60)
