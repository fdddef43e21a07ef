"""Every service runs alone: it answers, tells its metrics, and describes its API."""

import pytest
from registry_core.service import ALL, find_services
from registry_core.settings import Settings
from support import http, running


@pytest.mark.parametrize("name", ALL)
async def test_a_service_alone_is_ready_measured_and_described(settings: Settings, name: str) -> None:
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with running(alone, find_services([name])) as (platform, services), http(platform, services) as client:
        assert (await client.get("/health/ready")).json()["ready"]
        assert "\nhallmark_" in (await client.get("/metrics")).text
        assert (await client.get("/schema/openapi.json")).json()["openapi"].startswith("3.1")
