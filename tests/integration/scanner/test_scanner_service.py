"""Evidence in, findings out: the scanner's handlers, jobs and tables on real PostgreSQL."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hallmark_ingestion import bootstrap as ingestion
from hallmark_ledger import bootstrap as ledger
from hallmark_scanner import bootstrap as scanner
from registry_core.settings import Settings
from support import http, running, token_of, until

REF = "model:m@1.0.0"
PICKLE_THAT_RUNS = b"cos\nsystem\n(Vecho never\ntR."


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    alone = settings.model_copy(update={"kafka_bootstrap": ""})
    async with running(alone, [ledger.build, ingestion.build, scanner.build]) as (platform, services):
        token = await token_of(platform, "ci", "contributor", "manager")
        async with http(platform, services, token) as client:
            yield client


def sbom(*components: tuple[str, str]) -> dict[str, Any]:
    listed = [
        {"type": "library", "name": name, "version": version, "purl": f"pkg:pypi/{name}@{version}"}
        for name, version in components
    ]
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": listed}


def advisory(modified: str = "2026-01-01T00:00:00Z", **changes: Any) -> dict[str, Any]:
    events = [{"introduced": "0"}, {"fixed": "2.0.0"}]
    package = {"ecosystem": "PyPI", "name": "demo-lib"}
    severity = [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]
    affected = [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}]}]
    document = {"id": "X-1", "modified": modified, "schema_version": "1.7.5", "severity": severity}
    return {**document, "affected": affected, **changes}


async def register(api: httpx.AsyncClient) -> None:
    await api.post("/v1/versions", json={"ref": REF, "digest": "sha256:" + "0" * 64})


async def attach_sbom(api: httpx.AsyncClient, *components: tuple[str, str]) -> None:
    body = json.dumps(sbom(*components)).encode()
    await api.post(f"/v1/versions/{REF}/evidence?type=sbom", content=body)


async def state(api: httpx.AsyncClient) -> dict[str, Any]:
    return dict((await api.get(f"/v1/versions/{REF}")).json())


async def vulnerabilities(api: httpx.AsyncClient) -> list[str]:
    return [found["component"] for found in (await state(api))["vulnerabilities"]]


async def matched(api: httpx.AsyncClient, components: int) -> bool:
    found = (await state(api))["dependencies"]
    return found is not None and found["components"] == components


async def test_an_advisory_known_before_is_found_in_a_new_sbom(api: httpx.AsyncClient) -> None:
    await api.post("/v1/advisories", json=advisory())
    await register(api)
    await attach_sbom(api, ("demo_lib", "1.5.0"), ("other", "1.0.0"))
    await until(lambda: matched(api, 2))
    await until(lambda: vulnerabilities(api))
    (found,) = (await state(api))["vulnerabilities"]
    assert (found["severity"], found["fixed_in"], found["score"]) == ("critical", "2.0.0", 9.8)


@pytest.mark.parametrize("advisory_first", [True, False])
async def test_a_component_without_purl_is_found_by_its_name(api: httpx.AsyncClient, advisory_first: bool) -> None:
    document = sbom(("Demo_Lib", "1.5.0"))
    del document["components"][0]["purl"]
    if advisory_first:
        await api.post("/v1/advisories", json=advisory())
    await register(api)
    await api.post(f"/v1/versions/{REF}/evidence?type=sbom", content=json.dumps(document).encode())
    await until(lambda: matched(api, 1))
    if not advisory_first:
        await api.post("/v1/advisories", json=advisory())
    await until(lambda: vulnerabilities(api))
    assert await vulnerabilities(api) == ["Demo_Lib"]


async def test_a_new_advisory_finds_the_versions_it_affects(api: httpx.AsyncClient) -> None:
    await register(api)
    await attach_sbom(api, ("demo-lib", "1.5.0"))
    await until(lambda: matched(api, 1))
    assert await vulnerabilities(api) == []
    await api.post("/v1/advisories", json=advisory())
    assert await until(lambda: vulnerabilities(api)) == ["pkg:pypi/demo-lib@1.5.0"]


async def test_a_withdrawn_advisory_resolves_what_it_had_found(api: httpx.AsyncClient) -> None:
    await register(api)
    await attach_sbom(api, ("demo-lib", "1.5.0"))
    await api.post("/v1/advisories", json=advisory())
    await until(lambda: vulnerabilities(api))
    withdrawn = advisory("2026-02-01T00:00:00Z", withdrawn="2026-02-01T00:00:00Z")
    await api.post("/v1/advisories", json=withdrawn)

    async def resolved() -> bool:
        return not await vulnerabilities(api)

    assert await until(resolved)


async def test_an_upgrade_in_a_newer_sbom_resolves_the_finding(api: httpx.AsyncClient) -> None:
    await api.post("/v1/advisories", json=advisory())
    await register(api)
    await attach_sbom(api, ("demo-lib", "1.5.0"))
    await until(lambda: vulnerabilities(api))
    await attach_sbom(api, ("demo-lib", "2.0.0"), ("other", "1.0.0"))
    await until(lambda: matched(api, 2))
    assert await vulnerabilities(api) == []


async def test_an_unreadable_sbom_is_told_with_its_place(api: httpx.AsyncClient) -> None:
    await register(api)
    await api.post(f"/v1/versions/{REF}/evidence?type=sbom", content=b'{"bomFormat": "CycloneDX"}')
    await until(lambda: matched(api, 0))
    assert (await state(api))["dependencies"]["problem"]


async def test_an_older_document_of_an_advisory_changes_nothing(api: httpx.AsyncClient) -> None:
    await api.post("/v1/advisories", json=advisory("2026-03-01T00:00:00Z"))
    answer = await api.post("/v1/advisories", json=advisory("2026-01-01T00:00:00Z", summary="older"))
    assert answer.json()["log_index"] is None


async def test_what_is_no_advisory_is_refused_with_a_pointer(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/advisories", json={"id": "X-2"})
    assert (answer.status_code, answer.json()["field"]) == (422, "/modified")


async def test_a_stored_pickle_that_would_run_a_command_is_malicious(api: httpx.AsyncClient) -> None:
    import hashlib

    digest = "sha256:" + hashlib.sha256(PICKLE_THAT_RUNS).hexdigest()
    files = [{"name": "m.pkl", "digest": digest, "size": len(PICKLE_THAT_RUNS)}]
    await api.post("/v1/versions", json={"ref": REF, "files": files})
    await api.put(f"/v1/versions/{REF}/files/m.pkl", content=PICKLE_THAT_RUNS)

    async def scanned() -> list[Any]:
        return list((await state(api))["scans"])

    (scan,) = await until(scanned)
    assert scan["verdict"] == "malicious"
    assert scan["isolation"]
