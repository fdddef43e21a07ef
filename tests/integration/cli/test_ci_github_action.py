"""The GitHub Action, run step by step as a runner does, against a real server."""

import asyncio
import http.server
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from hallmark import AsyncClient
from registry_core.settings import Settings
from support import token_of
from support_actions import Run
from support_oidc import AUDIENCE, issuing, rsa_key
from support_pipeline import METADATA, REF, Pipeline, pipeline

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[3]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "docs/ci/github-action/action.yml").read_text())


@pytest.fixture
async def place(settings: Settings, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with pipeline(settings, tmp_path) as found:
        (tmp_path / "template.txt").write_text("Answer politely.")
        (tmp_path / "card.md").write_text("# What it is for\n")
        (tmp_path / "metadata.json").write_text(json.dumps(METADATA))
        yield found


def use(place: Pipeline, **inputs: str) -> Run:
    """The action with these inputs, underscores for dashes, on a runner that has `hallmark` on its PATH."""
    given = {
        "url": place.url, "token": place.token, "install": "", "ref": REF, "files": "template.txt",
        "metadata": "metadata.json", "timeout": "1m", **{name.replace("_", "-"): text for name, text in inputs.items()},
    }  # fmt: skip
    own = {name: text for name, text in place.environment.items() if not name.startswith("HALLMARK_")}
    return Run(ACTION, given, place.folder, own)


async def test_it_registers_promotes_waits_for_people_and_tells(place: Pipeline):
    evidence = "model_card=card.md\n\n"
    going = asyncio.create_task(
        use(place, evidence=evidence, set="purpose=to answer", promote_for="support", wait_until="approved").run()
    )
    await place.review(await reviewed(place))
    run = await going
    assert set(run.codes.values()) == {0}, run.log
    async with place.client() as hallmark:
        found = await hallmark.version(REF)
    assert run.outputs == {
        "ref": REF, "digest": found["digest"], "state": "approved", "promotion": found["approvals"][0]["promotion"],
    }  # fmt: skip
    assert found["evidence"][0]["evidence_type"] == "model_card"
    assert found["metadata"]["purpose"] == "to answer"
    for told in ("### prompt\\:answer@1.0.0", "| State | approved |", f"### Promotion {run.outputs['promotion']}"):
        assert told.replace("@", "\\@") in run.summary


async def reviewed(place: Pipeline) -> str:
    """The promotion that a reviewer is asked about: told by the server as soon as it is there."""
    async with asyncio.timeout(60):
        async for row in place.reviewer.changes("review_queue", {"ref": REF}, after=-1):
            if row["status"] == "in review":
                return str(row["promotion"])
    raise AssertionError("changes never end")


async def test_a_refusal_fails_the_job_and_the_summary_has_rule_and_fix(place: Pipeline):
    run = await use(place, promote_for="marketing").run()
    assert run.codes == {"register": 0, "promote": 4, "summary": 0}, run.log
    assert run.outputs["state"] == "draft"
    assert "| use\\-allowed | fail |" in run.summary
    assert "request promotion for an allowed use" in run.summary


async def test_without_a_business_function_nothing_is_promoted(place: Pipeline):
    run = await use(place).run()
    assert run.codes == {"register": 0, "summary": 0}, run.log
    assert (run.outputs["promotion"], run.outputs["state"]) == ("", "draft")


async def test_a_version_that_looks_like_an_option_is_none(place: Pipeline):
    run = await use(place, ref="--digest=sha256:" + "0" * 64).run()
    assert run.codes == {"register": 2}
    assert "not a version reference" in run.log


@contextmanager
def issuer(token: str) -> Iterator[tuple[str, list[Any]]]:
    """What a runner offers a job that may have a token of its own; its address, and what it was asked."""
    asked: list[Any] = []

    class Issuer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((parse_qs(urlsplit(self.path).query), self.headers["authorization"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"value": token}).encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Issuer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/token?api-version=2.0", asked
        server.shutdown()


async def test_without_a_token_the_jobs_own_is_asked_for_and_masked(place: Pipeline):
    with issuer(place.token) as (address, asked):
        run = use(place, token="")
        run.environment = {
            **run.environment,
            "ACTIONS_ID_TOKEN_REQUEST_URL": address,
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "r",
        }
        await run.run()
    assert run.codes == {"keyless": 0, "register": 0, "summary": 0}, run.log
    assert asked == [({"api-version": ["2.0"], "audience": [place.url]}, "Bearer r")]
    assert run.log.startswith(f"::add-mask::{place.token}\n")
    assert run.log.count(place.token) == 1


async def test_the_jobs_own_token_opens_what_its_repository_is_bound_to(settings: Settings, tmp_path: Path):
    with issuing(rsa_key("ci")) as github:
        told = settings.model_copy(update={"oidc_issuers": github.url, "oidc_audience": AUDIENCE})
        async with pipeline(told, tmp_path) as place:
            (tmp_path / "template.txt").write_text("Answer politely.")
            root = await token_of(place.platform, "root", "admin")
            async with AsyncClient(place.url, root) as admin:
                await admin.create_account("ci-acme", kind="service", roles=["contributor"])
                await admin.bind_workload("ci-acme", github.url, {"repository": "acme/answers"})
            token = github.token(place.platform.clock().timestamp(), repository="acme/answers")
            with issuer(token) as (address, _):
                run = use(place, token="", audience=AUDIENCE, metadata="")
                own = {"ACTIONS_ID_TOKEN_REQUEST_URL": address, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "r"}
                run.environment = {**run.environment, **own}
                await run.run()
            assert run.codes == {"keyless": 0, "register": 0, "summary": 0}, run.log
            async with place.client() as hallmark:
                assert (await hallmark.version(REF))["registered_by"] == "ci-acme"


async def test_without_any_token_it_says_what_to_give(place: Pipeline):
    run = await use(place, token="").run()
    assert run.codes == {"keyless": 2}
    assert "permission id-token: write" in run.log


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of this tree."""
    folder = tmp_path_factory.mktemp("wheels")
    for member in ("registry_core", "hallmark"):
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
        subprocess.run(build, cwd=ROOT / "libs" / member, check=True, capture_output=True)
    return folder


async def test_it_installs_what_it_is_told_to(place: Pipeline, wheels: Path):
    """What the wheels depend on is lent by the environment that runs the tests."""
    run = use(place, install=ACTION["inputs"]["install"]["default"] + "\nregistry-core==0.1.0")
    pip = dict.fromkeys(("PIP_NO_INDEX", "PIP_NO_DEPS", "PIP_IGNORE_INSTALLED"), "1") | {"PIP_FIND_LINKS": str(wheels)}
    lent = {"PYTHONPATH": str(Path(yaml.__file__).parents[1]), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    run.environment = {**run.environment, **pip, **lent}
    await run.run()
    assert run.codes == {"Install": 0, "register": 0, "summary": 0}, run.log
    assert (place.folder / "hallmark" / "bin" / "hallmark").exists()
