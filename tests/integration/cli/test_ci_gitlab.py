"""The GitLab template's jobs, run as a runner does, against a real server."""

import asyncio
import json
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from registry_core.settings import Settings
from support_pipeline import METADATA, REF, Pipeline, pipeline

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[3]
TEMPLATE: dict[str, Any] = yaml.safe_load((ROOT / "docs/ci/gitlab-ci.yml").read_text())


@pytest.fixture
async def place(settings: Settings, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with pipeline(settings, tmp_path) as found:
        (tmp_path / "template.txt").write_text("Answer politely.")
        (tmp_path / "card.md").write_text("# What it is for\n")
        (tmp_path / "metadata.json").write_text(json.dumps(METADATA))
        yield found


async def job(place: Pipeline, part: list[str], **variables: str) -> tuple[int, str]:
    """Exit code and output of a job's script, on a runner that has `hallmark` on its PATH."""
    environment = {**place.environment, "HALLMARK_REF": REF, "HALLMARK_FILES": "template.txt", **variables}
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", "\n".join(["set -e", *part]), cwd=place.folder, env=environment, stdout=PIPE, stderr=STDOUT
    )
    out, _ = await asyncio.wait_for(process.communicate(), 90)
    return process.returncode or 0, out.decode()


async def registered(place: Pipeline, use: str) -> dict[str, str]:
    """What the first job hands on to the next."""
    code, log = await job(
        place, TEMPLATE[".hallmark-register"]["script"],
        HALLMARK_METADATA="metadata.json", HALLMARK_SET="purpose=to answer", HALLMARK_PROMOTE_FOR=use,
        HALLMARK_EVIDENCE="model_card=card.md\n",
    )  # fmt: skip
    assert code == 0, log
    handed_on = TEMPLATE[".hallmark-register"]["artifacts"]["reports"]["dotenv"]
    return dict(line.split("=", 1) for line in (place.folder / handed_on).read_text().splitlines())


async def test_registered_promoted_and_decided(place: Pipeline):
    handed_on = await registered(place, "support")
    async with place.client() as hallmark:
        found = await hallmark.version(REF)
        await hallmark.wait_promotion(handed_on["HALLMARK_PROMOTION"], timeout=60)
    assert (handed_on["HALLMARK_DIGEST"], found["metadata"]["purpose"]) == (found["digest"], "to answer")
    decision = asyncio.create_task(job(place, TEMPLATE[".hallmark-decision"]["script"], **handed_on))
    await place.review(handed_on["HALLMARK_PROMOTION"])
    assert (await decision)[0] == 0
    after = await job(place, TEMPLATE[".hallmark-decision"]["after_script"], **handed_on)
    assert after[0] == 0
    assert "| Status | approved |" in (place.folder / "hallmark-summary.md").read_text()


async def test_a_refusal_ends_the_job_with_4(place: Pipeline):
    handed_on = await registered(place, "marketing")
    code, log = await job(place, TEMPLATE[".hallmark-decision"]["script"], **handed_on)
    assert (code, "Next:" in log) == (4, True)
